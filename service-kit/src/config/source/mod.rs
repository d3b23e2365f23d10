//! The sources and their merging by the `config` crate.

mod origin;
mod text;
mod toml_text;

pub(super) use text::TextValues;
pub(super) use toml_text::TomlText;

use super::error::{ConfigError, Origin};
use super::tree::{Kind, Node, Table};
use config::{Source, Value, ValueKind};

/// Merges the sources, later ones over earlier ones.
pub(super) fn merge(
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
    let origin = value.origin().map_or(Origin::Default, origin::decode);
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
