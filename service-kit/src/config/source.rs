//! Reads the sources (TOML text, environment, `--set`) and merges them with the `config` crate.

use super::error::{ConfigError, Origin};
use super::tree::{Kind, Node, Table};
use config::{Map, Source, Value, ValueKind};
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The separator the `config` crate's origin string is split at; no path or variable name holds it.
const SEPARATOR: char = '\u{1f}';

/// A TOML text.
#[derive(Debug, Clone)]
pub(crate) struct TomlText {
    values: Map<String, Value>,
}

impl TomlText {
    /// Parses a file's text, collecting every syntax error.
    pub fn parse(path: Option<&Path>, text: &str, errors: &mut Vec<ConfigError>) -> Self {
        let (table, problems) = DeTable::parse_recoverable(text);
        for problem in &problems {
            let position = problem.span().map(|span| position(text, span.start));
            errors.push(ConfigError::Source {
                origin: file_origin(path, position),
                message: format!("not valid TOML: {}", problem.message().replace('\n', ", ")),
            });
        }
        let values = if problems.is_empty() {
            let mut reader = TomlReader { path, text, errors };
            reader.table(table.get_ref())
        } else {
            Map::new()
        };
        Self { values }
    }
}

impl Source for TomlText {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.values.clone())
    }
}

struct TomlReader<'a> {
    path: Option<&'a Path>,
    text: &'a str,
    errors: &'a mut Vec<ConfigError>,
}

impl TomlReader<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Map<String, Value> {
        table
            .iter()
            .filter_map(|(key, value)| {
                let position = position(self.text, key.span().start);
                let origin = file_origin(self.path, Some(position));
                Some((
                    key.get_ref().to_string(),
                    self.value(value.get_ref(), &origin)?,
                ))
            })
            .collect()
    }

    fn value(&mut self, value: &DeValue<'_>, origin: &Origin) -> Option<Value> {
        let kind = match value {
            DeValue::String(text) => ValueKind::String(text.to_string()),
            DeValue::Boolean(flag) => ValueKind::Boolean(*flag),
            DeValue::Datetime(datetime) => ValueKind::String(datetime.to_string()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => ValueKind::I64(number),
                    Err(_) => {
                        return self.unreadable(
                            origin,
                            number.as_str(),
                            "an integer of at most 64 bits",
                        );
                    }
                }
            }
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) => ValueKind::Float(number),
                Err(_) => {
                    return self.unreadable(origin, number.as_str(), "a floating-point number");
                }
            },
            DeValue::Array(items) => ValueKind::Array(
                items
                    .iter()
                    .filter_map(|item| self.value(item.get_ref(), origin))
                    .collect(),
            ),
            DeValue::Table(table) => ValueKind::Table(self.table(table)),
        };
        Some(Value::new(Some(&encode(origin)), kind))
    }

    fn unreadable(&mut self, origin: &Origin, found: &str, allowed: &str) -> Option<Value> {
        self.errors.push(ConfigError::Source {
            origin: origin.clone(),
            message: format!("found {found}, allowed: {allowed}"),
        });
        None
    }
}

/// Line and column of a byte offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

fn file_origin(path: Option<&Path>, position: Option<(usize, usize)>) -> Origin {
    match path {
        Some(path) => Origin::File {
            path: path.to_owned(),
            position,
        },
        None => Origin::BuiltIn,
    }
}

/// Values given as text for a key path: environment variables or `--set` flags.
#[derive(Debug, Clone)]
pub(crate) struct TextValues {
    pub entries: Vec<TextValue>,
}

#[derive(Debug, Clone)]
pub(crate) struct TextValue {
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

/// Merges the sources, later ones over earlier ones.
pub(crate) fn merge(
    text: TomlText,
    environment: TextValues,
    flags: TextValues,
) -> Result<Table, ConfigError> {
    let merged = config::Config::builder()
        .add_source(text)
        .add_source(environment)
        .add_source(flags)
        .build()
        .and_then(|merged| merged.collect());
    match merged {
        Ok(values) => Ok(values
            .into_iter()
            .filter_map(|(key, value)| Some((key, node(value)?)))
            .collect()),
        Err(error) => Err(ConfigError::Source {
            origin: Origin::Default,
            message: error.to_string(),
        }),
    }
}

fn node(value: Value) -> Option<Node> {
    let origin = value.origin().map_or(Origin::Default, decode);
    let kind = match value.kind {
        ValueKind::Nil => return None,
        ValueKind::Boolean(flag) => Kind::Boolean(flag),
        ValueKind::I64(number) => Kind::Integer(number),
        ValueKind::U64(number) => Kind::Integer(i64::try_from(number).ok()?),
        ValueKind::I128(number) => Kind::Integer(i64::try_from(number).ok()?),
        ValueKind::U128(number) => Kind::Integer(i64::try_from(number).ok()?),
        ValueKind::Float(number) => Kind::Float(number),
        ValueKind::String(text) => Kind::String(text),
        ValueKind::Array(items) => Kind::List(items.into_iter().filter_map(node).collect()),
        ValueKind::Table(table) => Kind::Table(
            table
                .into_iter()
                .filter_map(|(key, value)| Some((key, node(value)?)))
                .collect(),
        ),
    };
    Some(Node { origin, kind })
}

/// The `config` crate keeps an origin as one string per value.
fn encode(origin: &Origin) -> String {
    let s = SEPARATOR;
    match origin {
        Origin::File {
            path,
            position: Some((line, column)),
        } => format!("file{s}{}{s}{line}{s}{column}", path.display()),
        Origin::File {
            path,
            position: None,
        } => format!("file{s}{}", path.display()),
        Origin::BuiltIn => "built-in".to_owned(),
        Origin::Environment(name) => format!("env{s}{name}"),
        Origin::Flag => "flag".to_owned(),
        Origin::Default => "default".to_owned(),
    }
}

fn decode(text: &str) -> Origin {
    let mut parts = text.split(SEPARATOR);
    match (parts.next(), parts.next()) {
        (Some("file"), Some(path)) => {
            let mut number = || parts.next().and_then(|part| part.parse().ok());
            Origin::File {
                path: PathBuf::from(path),
                position: number().zip(number()),
            }
        }
        (Some("env"), Some(name)) => Origin::Environment(name.to_owned()),
        (Some("flag"), _) => Origin::Flag,
        (Some("built-in"), _) => Origin::BuiltIn,
        _ => Origin::Default,
    }
}
