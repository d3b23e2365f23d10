//! The typed reader that services use: it never stops at the first error.

mod lists;
mod scalars;
mod words;

pub use lists::TextOrTable;
pub use words::{WEB_URL, parse_web_url};

use super::error::{ConfigError, Origin};
use super::path::dotted;
use super::reading::{Effective, Reading};
use super::tree::{Kind, Node, Table};
use std::fmt::Display;

/// One table of the configuration, read key by key.
///
/// Every getter returns a usable value; when the configuration holds something else, the error (where, which key, what
/// was found, what is allowed) is kept and reported with all others at the end. A key nobody asked for is refused as
/// unknown. Values from environment variables and `--set` are text and are read leniently: `"8"` is an integer,
/// `"true"` a boolean, `"a,b"` a list.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    reading: &'a Reading,
    path: Vec<String>,
    table: Option<&'a Table>,
}

impl<'a> Section<'a> {
    pub(super) fn root(reading: &'a Reading) -> Self {
        Self {
            reading,
            path: Vec::new(),
            table: Some(reading.root()),
        }
    }

    /// The section's last key: the `NAME` of `[upstreams.NAME]`; empty for the root.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// The full dotted key of one of this section's keys.
    pub fn key(&self, key: &str) -> String {
        dotted(&self.path, key)
    }

    /// Whether the configuration holds the key.
    pub fn contains(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        self.table.and_then(|table| table.get(key))
    }

    pub(super) fn child(&self, key: &str) -> Vec<String> {
        self.path.iter().cloned().chain([key.to_owned()]).collect()
    }

    fn note(&mut self, key: &str, value: String, origin: &Origin) {
        let origin = origin.clone();
        self.reading
            .ask(self.child(key), Some(Effective { value, origin }));
    }

    pub(super) fn invalid(&mut self, key: &str, node: &Node, allowed: &dyn Display) {
        // An empty table has lost its place; the file it is in is known still.
        let origin = match node.first_origin() {
            Origin::Default => self.reading.home(),
            origin => origin,
        };
        self.reading.complain(ConfigError::Invalid {
            origin: origin.clone(),
            key: self.key(key),
            found: node.kind.to_string(),
            allowed: allowed.to_string(),
        });
    }

    pub(super) fn missing(&mut self, key: &str, allowed: &dyn Display) {
        let error = ConfigError::Missing {
            origin: self.reading.home().clone(),
            key: self.key(key),
            allowed: allowed.to_string(),
        };
        self.reading.complain(error);
    }

    /// Reads a scalar: the value if it is there and right, else `None` (with the error noted if it is there and wrong).
    pub(super) fn scalar<T>(
        &mut self,
        key: &str,
        allowed: impl Display,
        show: impl FnOnce(&T) -> String,
        convert: impl FnOnce(&Kind, bool) -> Option<T>,
    ) -> Option<T> {
        self.reading.ask(self.child(key), None);
        let node = self.node(key)?;
        match convert(&node.kind, node.origin.is_text()) {
            Some(value) => {
                self.note(key, show(&value), &node.origin);
                Some(value)
            }
            None => {
                self.invalid(key, node, &allowed);
                None
            }
        }
    }

    pub(super) fn or_default<T>(
        &mut self,
        key: &str,
        value: Option<T>,
        default: T,
        show: impl FnOnce(&T) -> String,
    ) -> T {
        match value {
            Some(value) => value,
            None => {
                self.note(key, show(&default), &Origin::Default);
                default
            }
        }
    }

    /// Refuses the value of `key` for a reason only the service knows; `allowed` says what it takes.
    pub fn reject(&mut self, key: &str, allowed: impl Display) {
        self.reading.ask(self.child(key), None);
        match self.node(key) {
            Some(node) => self.invalid(key, node, &allowed),
            None => self.missing(key, &allowed),
        }
    }

    /// A sub-table, if the configuration has it.
    pub fn section(&mut self, key: &str) -> Option<Section<'a>> {
        let path = self.child(key);
        self.reading.ask(path.clone(), None);
        let node = self.node(key)?;
        match &node.kind {
            Kind::Table(table) => Some(Section {
                reading: self.reading,
                path,
                table: Some(table),
            }),
            _ => {
                self.invalid(key, node, &"a table");
                None
            }
        }
    }

    /// A sub-table; an empty one (all defaults) if the configuration does not have it.
    pub fn section_or_empty(&mut self, key: &str) -> Section<'a> {
        let path = self.child(key);
        let reading = self.reading;
        self.section(key).unwrap_or(Section {
            reading,
            path,
            table: None,
        })
    }

    /// The sub-tables of a table whose names the user chooses (`[upstreams.NAME]`), by name.
    pub fn sections(&mut self, key: &str) -> Vec<(String, Section<'a>)> {
        let Some(mut parent) = self.section(key) else {
            return Vec::new();
        };
        let names: Vec<String> = parent
            .table
            .into_iter()
            .flat_map(|table| table.keys().cloned())
            .collect();
        names
            .into_iter()
            .filter_map(|name| parent.section(&name).map(|section| (name, section)))
            .collect()
    }

    /// An array of tables (`[[route]]`), in order.
    pub fn list(&mut self, key: &str) -> Vec<Section<'a>> {
        let path = self.child(key);
        self.reading.ask(path.clone(), None);
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let Kind::List(items) = &node.kind else {
            self.invalid(key, node, &"a list of tables");
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let mut path = path.clone();
            path.push(index.to_string());
            self.reading.ask(path.clone(), None);
            match &item.kind {
                Kind::Table(table) => sections.push(Section {
                    reading: self.reading,
                    path,
                    table: Some(table),
                }),
                _ => self.invalid(&format!("{key}[{index}]"), item, &"a table"),
            }
        }
        sections
    }
}
