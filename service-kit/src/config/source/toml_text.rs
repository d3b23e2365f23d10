//! TOML, with the place of every key.

use super::origin::encode;
use crate::config::error::{ConfigError, Origin};
use crate::config::path::dotted;
use config::{Map, Source, Value, ValueKind};
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// A TOML text.
#[derive(Debug, Clone)]
pub(in crate::config) struct TomlText {
    values: Map<String, Value>,
    /// What is in the text is not known.
    pub unreadable: bool,
}

impl TomlText {
    /// Parses a file's text, collecting every syntax error.
    pub fn parse(path: Option<&Path>, text: &str, errors: &mut Vec<ConfigError>) -> Self {
        let (table, problems) = DeTable::parse_recoverable(text);
        let mut unreadable = false;
        for problem in &problems {
            let position = problem.span().map(|span| position(text, span.start));
            let twice = (problem.message() == "duplicate key")
                .then(|| text.get(problem.span()?))
                .flatten();
            let message = match twice {
                // The parser has kept the first one; the rest of the text means what it says.
                Some(key) => format!("key `{key}` is given twice"),
                None => {
                    unreadable = true;
                    format!("not valid TOML: {}", problem.message().replace('\n', ", "))
                }
            };
            errors.push(ConfigError::Source {
                origin: file_origin(path, position),
                message,
            });
        }
        let values = if unreadable {
            Map::new()
        } else {
            let mut reader = TomlReader {
                path,
                text,
                at: Vec::new(),
                errors,
            };
            reader.table(table.get_ref())
        };
        Self { values, unreadable }
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

pub(super) struct TomlReader<'a> {
    pub path: Option<&'a Path>,
    pub text: &'a str,
    /// The key being read.
    pub at: Vec<String>,
    pub errors: &'a mut Vec<ConfigError>,
}

impl TomlReader<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Map<String, Value> {
        table
            .iter()
            .filter_map(|(key, value)| {
                let position = position(self.text, key.span().start);
                let origin = file_origin(self.path, Some(position));
                let key = key.get_ref().to_string();
                let value = self.inside(key.clone(), value.get_ref(), &origin)?;
                Some((key, value))
            })
            .collect()
    }

    fn inside(&mut self, part: String, value: &DeValue<'_>, origin: &Origin) -> Option<Value> {
        self.at.push(part);
        let value = self.value(value, origin);
        self.at.pop();
        value
    }

    pub fn value(&mut self, value: &DeValue<'_>, origin: &Origin) -> Option<Value> {
        let kind = match value {
            DeValue::String(text) => ValueKind::String(text.to_string()),
            DeValue::Boolean(flag) => ValueKind::Boolean(*flag),
            DeValue::Datetime(datetime) => ValueKind::String(datetime.to_string()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => ValueKind::I64(number),
                    // A variable's or a flag's: what asks for an integer refuses this text, and shows it.
                    Err(_) if origin.is_text() => ValueKind::String(number.to_string()),
                    Err(_) => {
                        return self.unreadable(
                            origin,
                            &number.to_string(),
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
            DeValue::Array(items) => {
                let read: Vec<Option<Value>> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.inside(index.to_string(), item.get_ref(), origin))
                    .collect();
                // A list with a gap is another list.
                ValueKind::Array(read.into_iter().collect::<Option<_>>()?)
            }
            DeValue::Table(table) => ValueKind::Table(self.table(table)),
        };
        Some(Value::new(Some(&encode(origin)), kind))
    }

    fn unreadable(&mut self, origin: &Origin, found: &str, allowed: &str) -> Option<Value> {
        let (key, parent) = self.at.split_last()?;
        self.errors.push(ConfigError::Invalid {
            origin: origin.clone(),
            key: dotted(parent, key),
            found: found.to_owned(),
            allowed: allowed.to_owned(),
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
