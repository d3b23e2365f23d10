//! Values given as text: environment variables and `--set` flags.

use super::origin::encode;
use super::toml_text::TomlReader;
use crate::config::error::{ConfigError, Origin};
use config::{Map, Source, Value, ValueKind};
use toml::de::DeValue;

/// Texts and the keys they are for.
#[derive(Debug, Clone)]
pub(in crate::config) struct TextValues {
    pub entries: Vec<TextValue>,
}

#[derive(Debug, Clone)]
pub(in crate::config) struct TextValue {
    pub origin: Origin,
    pub path: Vec<String>,
    pub text: String,
}

impl TextValues {
    /// The variables that start with `PREFIX__`, and the aliases.
    pub fn from_environment(
        prefix: &str,
        aliases: &[(&str, &str)],
        variables: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
        errors: &mut Vec<ConfigError>,
    ) -> Self {
        let start = format!("{prefix}__");
        let mut aliased = Vec::new();
        let mut entries = Vec::new();
        for (name, value) in variables {
            let Some(name) = name.to_str().map(str::to_owned) else {
                continue;
            };
            let alias = aliases.iter().find(|(alias, _)| *alias == name);
            let path: Vec<String> = match (alias, name.strip_prefix(&start)) {
                (Some((_, key)), _) => split_key(key),
                (None, Some(rest)) => rest.split("__").map(str::to_ascii_lowercase).collect(),
                (None, None) => continue,
            };
            let origin = Origin::Environment(name);
            match value.into_string() {
                Ok(text) if path.iter().all(|part| !part.is_empty()) => {
                    let target = if alias.is_some() {
                        &mut aliased
                    } else {
                        &mut entries
                    };
                    target.push(TextValue { origin, path, text });
                }
                Ok(_) => errors.push(ConfigError::Source {
                    origin,
                    message: format!(
                        "no key: allowed are names such as {start}LISTEN or {start}OPS__LISTEN"
                    ),
                }),
                Err(_) => errors.push(ConfigError::Source {
                    origin,
                    message: "the value is not UTF-8".to_owned(),
                }),
            }
        }
        // A short parent (PRODUCT) must not overwrite what a longer name (PRODUCT__URL) set inside it.
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        aliased.extend(entries);
        Self { entries: aliased }
    }

    /// `--set key=value`, in the order given.
    pub fn from_flags(flags: &[String], errors: &mut Vec<ConfigError>) -> Self {
        let mut entries = Vec::new();
        for flag in flags {
            let path = flag
                .split_once('=')
                .map(|(key, text)| (split_key(key.trim()), text));
            match path {
                Some((path, text)) if path.iter().all(|part| !part.is_empty()) => {
                    entries.push(TextValue { origin: Origin::Flag, path, text: text.to_owned() });
                }
                _ => errors.push(ConfigError::Source {
                    origin: Origin::Flag,
                    message: format!("found {flag:?}, allowed: key=value with a dotted key, such as ops.listen=127.0.0.1:0"),
                }),
            }
        }
        Self { entries }
    }
}

/// `a.b[0].c` and `a.b.0.c` name the same key.
fn split_key(key: &str) -> Vec<String> {
    key.replace('[', ".")
        .replace(']', "")
        .split('.')
        .map(|part| part.trim().to_owned())
        .collect()
}

impl Source for TextValues {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let mut root = Value::new(None, ValueKind::Table(Map::new()));
        self.collect_to(&mut root)?;
        root.into_table()
    }

    // Written into what is there already, because a variable's name (upper case, no dashes) can only be matched against
    // the names the file chose.
    fn collect_to(&self, cache: &mut Value) -> Result<(), config::ConfigError> {
        for entry in &self.entries {
            place(cache, &entry.path, text_value(entry));
        }
        Ok(())
    }
}

/// Text stays text (the typed getters read it); only what looks like a TOML list, table or quoted string is parsed.
fn text_value(entry: &TextValue) -> Value {
    let text = entry.text.trim();
    let structured = text.starts_with(['[', '{', '"', '\'']);
    let parsed = if structured {
        DeValue::parse(text).ok()
    } else {
        None
    };
    let mut errors = Vec::new();
    let value = parsed.and_then(|value| {
        let mut reader = TomlReader {
            path: None,
            text,
            at: entry.path.clone(),
            errors: &mut errors,
        };
        reader.value(value.get_ref(), &entry.origin)
    });
    match value {
        Some(mut value) => {
            set_origin(&mut value, &entry.origin);
            value
        }
        None => Value::new(
            Some(&encode(&entry.origin)),
            ValueKind::String(entry.text.clone()),
        ),
    }
}

fn set_origin(value: &mut Value, origin: &Origin) {
    let mut kind = std::mem::take(&mut value.kind);
    match &mut kind {
        ValueKind::Table(table) => table
            .values_mut()
            .for_each(|inner| set_origin(inner, origin)),
        ValueKind::Array(items) => items.iter_mut().for_each(|inner| set_origin(inner, origin)),
        _ => {}
    }
    *value = Value::new(Some(&encode(origin)), kind);
}

fn place(target: &mut Value, path: &[String], value: Value) {
    let Some((part, rest)) = path.split_first() else {
        *target = value;
        return;
    };
    if let (ValueKind::Array(items), Ok(index)) = (&mut target.kind, part.parse::<usize>()) {
        // One past the end appends; a gap would leave entries nobody wrote.
        if index == items.len() {
            items.push(Value::new(None, ValueKind::Table(Map::new())));
        }
        if let Some(item) = items.get_mut(index) {
            return place(item, rest, value);
        }
    }
    if !matches!(target.kind, ValueKind::Table(_)) {
        target.kind = ValueKind::Table(Map::new());
    }
    if let ValueKind::Table(table) = &mut target.kind {
        let existing = table.keys().find(|key| same_name(key, part)).cloned();
        let name = existing.unwrap_or_else(|| part.clone());
        let is_first_of_list = rest.first().is_some_and(|next| next == "0");
        let slot = table.entry(name).or_insert_with(|| {
            let empty = if is_first_of_list {
                ValueKind::Array(Vec::new())
            } else {
                ValueKind::Table(Map::new())
            };
            Value::new(None, empty)
        });
        place(slot, rest, value);
    }
}

fn same_name(key: &str, part: &str) -> bool {
    let plain = |text: &str| text.replace('-', "_").to_ascii_lowercase();
    key == part || plain(key) == plain(part)
}
