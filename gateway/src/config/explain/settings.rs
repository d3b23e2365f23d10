//! Every value that was read, by the parts of its key.

use serde::Serialize;
use service_kit::config::{Loaded, Origin};

use crate::config::model::Gateway;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its key, below the table that is spoken of.
    pub key: String,
    /// It, as TOML.
    pub value: String,
    /// Where it was written; `default` if nowhere.
    pub from: String,
    /// The level that it is inherited from, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inherited: Option<String>,
}

/// All of them.
pub(super) struct Settings<'l> {
    all: Vec<(&'l [String], &'l str, &'l Origin)>,
}

impl<'l> Settings<'l> {
    pub fn of(loaded: &'l Loaded<Gateway>) -> Self {
        Self {
            all: loaded
                .settings()
                .map(|setting| (setting.path, setting.value, setting.origin))
                .collect(),
        }
    }

    /// Those below a place, whose further parts are `wanted`.
    pub fn under(&self, place: &[&str], wanted: impl Fn(&[&str]) -> bool) -> Vec<Line> {
        let mut lines = Vec::new();
        for (path, value, origin) in &self.all {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let Some(rest) = path.strip_prefix(place) else {
                continue;
            };
            if wanted(rest) {
                lines.push(Line {
                    key: rest.join("."),
                    value: (*value).to_owned(),
                    from: origin.to_string(),
                    inherited: None,
                });
            }
        }
        lines
    }

    /// The value of a key, or of all keys of a table, at the first of the levels that has it. Below the first level it is
    /// inherited.
    pub fn effective(&self, levels: [&[&str]; 3], name: &str) -> Vec<Line> {
        for (depth, level) in levels.iter().enumerate() {
            let mut lines = self.under(level, |rest| rest.first() == Some(&name));
            if lines.is_empty() {
                continue;
            }
            let inherited = (depth > 0).then(|| format!("[{}]", level.join(".")));
            for line in &mut lines {
                line.inherited.clone_from(&inherited);
            }
            return lines;
        }
        Vec::new()
    }
}

/// A place further in.
pub(super) fn place<'p>(level: &[&'p str], further: &[&'p str]) -> Vec<&'p str> {
    [level, further].concat()
}
