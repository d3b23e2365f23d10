//! What texts must look like, and how values are written in TOML.

use std::{fmt, time::Duration};

use super::Otherwise;

pub(super) const NAME: &str = "a name of letters, digits, \"-\", \"_\", \".\" and \":\"";
pub(super) const NETWORK: &str =
    "an address or a range such as \"10.0.0.0/8\", whose bits beyond the prefix are 0";
pub(super) const METHOD: &str = "a method in upper case, such as \"GET\"; not \"CONNECT\"";
pub(super) const HOST_PATTERN: &str =
    "a host without a port, \"shop.example\", or all below one, \"*.example\"";

/// A time as the configuration takes it.
#[must_use]
pub fn duration(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// A number of bytes as the configuration takes it.
#[must_use]
pub fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units
        .iter()
        .find(|(_, bits)| bytes > 0 && bytes.trailing_zeros() >= *bits);
    match unit {
        Some((name, bits)) => format!("{}{name}", bytes >> bits),
        None => format!("{bytes}B"),
    }
}

/// A default as TOML; nothing for a key that has none.
impl fmt::Display for Otherwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required | Self::Absent(_) => Ok(()),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Duration(time) => write!(f, "{:?}", duration(*time)),
            Self::Size(bytes) => write!(f, "{:?}", size(*bytes)),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Texts(texts) => write!(f, "{texts:?}"),
            Self::Integers(numbers) => write!(f, "{numbers:?}"),
        }
    }
}
