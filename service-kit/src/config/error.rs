//! What is wrong with a configuration, said so that it can be repaired without reading code.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a configuration file.
    File {
        /// The file, as it was named on the command line.
        path: PathBuf,
        /// Line and column, both from 1, when known.
        position: Option<(usize, usize)>,
    },
    /// The text compiled into the service.
    BuiltIn,
    /// An environment variable.
    Environment(String),
    /// A `--set` flag.
    Flag,
    /// Nobody set it: the key's own default.
    Default,
}

impl Origin {
    /// Whether it is the file or text `home`, or a place in it.
    pub(crate) fn is_in(&self, home: &Self) -> bool {
        match (self, home) {
            (Self::File { path, .. }, Self::File { path: home, .. }) => path == home,
            (Self::BuiltIn, Self::BuiltIn) => true,
            _ => false,
        }
    }

    /// Environment variables and flags carry only text, which the typed getters read leniently.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Environment(_) | Self::Flag)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File {
                path,
                position: Some((line, column)),
            } => write!(f, "{}:{line}:{column}", path.display()),
            Self::File {
                path,
                position: None,
            } => write!(f, "{}", path.display()),
            Self::BuiltIn => f.write_str("built-in configuration"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag => f.write_str("--set"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The value is not one the key allows.
    Invalid {
        /// Where the value was written.
        origin: Origin,
        /// The full dotted key.
        key: String,
        /// The value found.
        found: String,
        /// What would have been allowed.
        allowed: String,
    },
    /// A required key is absent.
    Missing {
        /// The file (or built-in text) that should hold it.
        origin: Origin,
        /// The full dotted key.
        key: String,
        /// What is allowed there.
        allowed: String,
    },
    /// Nothing reads this key.
    Unknown {
        /// Where it was written.
        origin: Origin,
        /// The full dotted key.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
        /// The keys known beside it.
        known: Vec<String>,
    },
    /// The text could not be read or parsed at all.
    Source {
        /// The source.
        origin: Origin,
        /// What went wrong.
        message: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid {
                origin,
                key,
                found,
                allowed,
            } => {
                write!(
                    f,
                    "{origin}: key `{key}`: found {found}, allowed: {allowed}"
                )
            }
            Self::Missing {
                origin,
                key,
                allowed,
            } => {
                write!(f, "{origin}: key `{key}` is missing, allowed: {allowed}")
            }
            Self::Unknown {
                origin,
                key,
                nearest,
                known,
            } => {
                write!(f, "{origin}: unknown key `{key}`")?;
                if let Some(nearest) = nearest {
                    write!(f, ", did you mean `{nearest}`?")?;
                }
                if !known.is_empty() {
                    write!(f, " (known here: {})", known.join(", "))?;
                }
                Ok(())
            }
            Self::Source { origin, message } => write!(f, "{origin}: {message}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Everything wrong with a configuration, never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl ConfigErrors {
    /// The errors, in the order they were found.
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "{one}"),
            many => {
                write!(f, "{} errors in the configuration", many.len())?;
                many.iter().try_for_each(|error| write!(f, "\n  {error}"))
            }
        }
    }
}

impl std::error::Error for ConfigErrors {}
