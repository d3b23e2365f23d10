//! TOML, with the place of every key.

use super::origin::encode;
use crate::config::error::{ConfigError, Origin};
use config::{Map, Source, Value, ValueKind};
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// A TOML text.
#[derive(Debug, Clone)]
pub(in crate::config) struct TomlText {
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

pub(super) struct TomlReader<'a> {
    pub path: Option<&'a Path>,
    pub text: &'a str,
    pub errors: &'a mut Vec<ConfigError>,
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

    pub fn value(&mut self, value: &DeValue<'_>, origin: &Origin) -> Option<Value> {
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
