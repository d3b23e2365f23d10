//! One configuration out of four sources, validated as a whole.
//!
//! Order, later over earlier: each key's own default, the file named by `--config` (or, without it, the text built into
//! the service), environment variables `PREFIX__A__B`, `--set a.b=value`. Everything wrong is reported at once, each
//! with where it was written, the key, what was found and what is allowed.
//!
//! ```
//! use service_kit::config::{Sources, load};
//! use std::time::Duration;
//!
//! let sources = Sources {
//!     built_in: "[store]\npath = 7\ntimeot = \"1s\"",
//!     ..Sources::default()
//! };
//! let errors = load(&sources, |root| {
//!     let mut store = root.section_or_empty("store");
//!     let path = store.path("path", "shop.db");
//!     let timeout = store.duration("timeout", Duration::from_secs(1), Duration::ZERO..=Duration::MAX);
//!     (path, timeout)
//! })
//! .unwrap_err();
//! assert_eq!(
//!     errors.to_string(),
//!     "2 errors in the configuration\n  \
//!      built-in configuration: key `store.path`: found 7, allowed: the path of a file, not empty\n  \
//!      built-in configuration: unknown key `store.timeot`, did you mean `store.timeout`? (known here: path, timeout)"
//! );
//! ```

mod error;
mod path;
mod print;
mod reading;
mod section;
mod source;
mod tree;
mod values;

pub use error::{ConfigError, ConfigErrors, Origin};
pub use section::{Section, TextOrTable, WEB_URL, parse_web_url};

use reading::{Effective, Reading};
use source::{TextValues, TomlText};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where to read a configuration from.
#[derive(Debug, Clone, Default)]
pub struct Sources<'a> {
    /// The file; `None` reads `built_in`.
    pub file: Option<PathBuf>,
    /// The TOML text compiled into the service.
    pub built_in: &'a str,
    /// `CART_SVC` for variables such as `CART_SVC__LISTEN`.
    pub env_prefix: &'a str,
    /// Variables outside the prefix, with the keys they set.
    pub env_aliases: &'a [(&'a str, &'a str)],
    /// The environment, normally [`std::env::vars_os`].
    pub environment: Vec<(OsString, OsString)>,
    /// The `--set` flags.
    pub flags: Vec<String>,
}

/// A validated configuration and what `--print-config` says about it.
#[derive(Debug)]
pub struct Loaded<C> {
    /// What the service's parser made of it.
    pub value: C,
    effective: Vec<(Vec<String>, Effective)>,
    asked: Vec<Vec<String>>,
}

/// One key that has a value, whether set or its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<'l> {
    /// Its key, part by part.
    pub path: &'l [String],
    /// The value as TOML.
    pub value: &'l str,
    /// Where it was written.
    pub origin: &'l Origin,
}

impl<C> Loaded<C> {
    /// The effective values as TOML, each with where it came from.
    pub fn print(&self) -> String {
        print::to_toml(&self.effective)
    }

    /// The same, one by one, in the order they were read.
    pub fn settings(&self) -> impl Iterator<Item = Setting<'_>> {
        self.effective.iter().map(|(path, effective)| Setting {
            path,
            value: &effective.value,
            origin: &effective.origin,
        })
    }

    /// Every key that was asked for, whether it has a value or not, as its parts.
    pub fn asked(&self) -> impl Iterator<Item = &[String]> {
        self.asked.iter().map(Vec::as_slice)
    }

    /// What the parser made of it, in another form.
    pub fn map<D>(self, convert: impl FnOnce(C) -> D) -> Loaded<D> {
        Loaded {
            value: convert(self.value),
            effective: self.effective,
            asked: self.asked,
        }
    }
}

/// Reads, merges and validates; all errors at once.
pub fn load<C>(
    sources: &Sources<'_>,
    parse: impl FnOnce(&mut Section<'_>) -> C,
) -> Result<Loaded<C>, ConfigErrors> {
    let mut errors = Vec::new();
    let home = home(sources.file.as_deref());
    let text = read_text(sources, &mut errors);
    let unreadable = !errors.is_empty();
    let text = TomlText::parse(sources.file.as_deref(), &text, &mut errors);
    let environment = TextValues::from_environment(
        sources.env_prefix,
        sources.env_aliases,
        sources.environment.iter().cloned(),
        &mut errors,
    );
    let flags = TextValues::from_flags(&sources.flags, &mut errors);
    let unreadable = unreadable || text.unreadable;
    let root = match source::merge(text, environment, flags) {
        Ok(root) => root,
        Err(error) => {
            errors.push(error);
            return Err(ConfigErrors(errors));
        }
    };
    let reading = Reading::new(root, home);
    let value = parse(&mut Section::root(&reading));
    let (found, effective, asked) = reading.into_outcome();
    let found: Vec<ConfigError> = found
        .into_iter()
        .filter(|error| !follows(error, &errors, unreadable))
        .collect();
    errors.extend(found);
    if errors.is_empty() {
        Ok(Loaded {
            value,
            effective,
            asked,
        })
    } else {
        Err(ConfigErrors(errors))
    }
}

/// Whether an error only follows from what could not be read.
fn follows(error: &ConfigError, unread: &[ConfigError], unreadable: bool) -> bool {
    match error {
        ConfigError::Missing { key, origin, .. } => {
            let is_unread = |error: &ConfigError| match error {
                // A table given twice may have been skipped, with all its keys.
                ConfigError::Source { origin: unread, .. } => unread.is_in(origin),
                ConfigError::Invalid { key: inner, .. } => inner
                    .strip_prefix(key.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])),
                _ => false,
            };
            unreadable || unread.iter().any(is_unread)
        }
        // Which keys are known may depend on others, and which part of a list is set, on the list.
        ConfigError::Unknown { .. } => unreadable,
        ConfigError::Invalid { found, .. } => unreadable && found.starts_with(['{', '[']),
        ConfigError::Source { .. } => false,
    }
}

fn home(file: Option<&Path>) -> Origin {
    match file {
        Some(path) => Origin::File {
            path: path.to_owned(),
            position: None,
        },
        None => Origin::BuiltIn,
    }
}

fn read_text(sources: &Sources<'_>, errors: &mut Vec<ConfigError>) -> String {
    let Some(path) = &sources.file else {
        return sources.built_in.to_owned();
    };
    let failed = |message: String| ConfigError::Source {
        origin: home(Some(path)),
        message,
    };
    match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => {
            errors.push(failed("not a text file (not UTF-8)".to_owned()));
            String::new()
        }
        Err(error) => {
            errors.push(failed(format!(
                "cannot read the configuration file: {}",
                crate::io_reason(&error)
            )));
            String::new()
        }
    }
}

#[cfg(test)]
mod tests;
