//! The merged configuration as a tree whose every leaf remembers where it was written.

use super::error::Origin;
use super::values::show_text;
use std::collections::BTreeMap;
use std::fmt;

pub(crate) type Table = BTreeMap<String, Node>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub origin: Origin,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
}

impl Node {
    pub fn as_table(&self) -> Option<&Table> {
        match &self.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }

    /// A table has no origin of its own after merging; its first leaf says where it was written.
    pub fn first_origin(&self) -> &Origin {
        let inner = match &self.kind {
            Kind::Table(table) => table.values().next(),
            Kind::List(items) => items.first(),
            _ => None,
        };
        match (&self.origin, inner) {
            (Origin::Default, Some(inner)) => inner.first_origin(),
            (origin, _) => origin,
        }
    }
}

/// The value as TOML, for messages and for `--print-config`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(&show_text(text)),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Boolean(flag) => write!(f, "{flag}"),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", item.kind)?;
                }
                f.write_str("]")
            }
            Self::Table(table) => {
                f.write_str("{")?;
                for (index, (key, item)) in table.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{key} = {}", item.kind)?;
                }
                f.write_str("}")
            }
        }
    }
}
