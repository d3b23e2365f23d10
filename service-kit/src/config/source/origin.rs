//! Origins as the one string per value that the `config` crate keeps.

use crate::config::error::Origin;
use std::path::PathBuf;

/// Between the parts; no path or variable name holds it.
const SEPARATOR: char = '\u{1f}';

pub(super) fn encode(origin: &Origin) -> String {
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

pub(super) fn decode(text: &str) -> Origin {
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
