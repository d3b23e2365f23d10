//! Texts, addresses, paths and words out of a fixed set.

use super::Section;
use crate::config::tree::Kind;
use crate::config::values;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::PathBuf;

impl Section<'_> {
    /// A text.
    pub fn string(&mut self, key: &str, default: &str) -> String {
        let value = self.opt_string(key);
        self.or_default(key, value, default.to_owned(), |text| {
            values::show_text(text)
        })
    }

    /// A text that may be absent.
    pub fn opt_string(&mut self, key: &str) -> Option<String> {
        self.scalar(
            key,
            "a text",
            |text: &String| values::show_text(text),
            |kind, _| match kind {
                Kind::String(text) => Some(text.clone()),
                _ => None,
            },
        )
    }

    /// A text that must be there and not be empty; the empty text on error.
    pub fn required_string(&mut self, key: &str) -> String {
        if !self.contains(key) {
            self.reading.ask(self.child(key), None);
            self.missing(key, &"a text");
            return String::new();
        }
        let text = self.scalar(
            key,
            "a text that is not empty",
            |text: &String| values::show_text(text),
            |kind, _| match kind {
                Kind::String(text) if !text.is_empty() => Some(text.clone()),
                _ => None,
            },
        );
        text.unwrap_or_default()
    }

    /// An upstream's base address: `http://host[:port][/path]`, no user, query or fragment. Absent: `None`.
    pub fn url(&mut self, key: &str) -> Option<http::Uri> {
        let allowed = "an address like \"http://127.0.0.1:8081\" (http only, no user name, query or fragment)";
        self.scalar(
            key,
            allowed,
            |uri: &http::Uri| values::show_text(&uri.to_string()),
            |kind, _| match kind {
                Kind::String(text) => values::parse_base_url(text, &["http"]),
                _ => None,
            },
        )
    }

    /// Like [`url`](Self::url), with `https` as well.
    pub fn web_url(&mut self, key: &str) -> Option<http::Uri> {
        self.scalar(
            key,
            WEB_URL,
            |uri: &http::Uri| values::show_text(&uri.to_string()),
            |kind, _| match kind {
                Kind::String(text) => parse_web_url(text),
                _ => None,
            },
        )
    }

    /// Like [`url`](Self::url), but its absence is an error.
    pub fn required_url(&mut self, key: &str) -> Option<http::Uri> {
        if !self.contains(key) {
            self.reading.ask(self.child(key), None);
            self.missing(key, &"an address like \"http://127.0.0.1:8081\"");
            return None;
        }
        self.url(key)
    }

    /// An address to listen on, `IP:PORT`; port 0 lets the system choose.
    pub fn socket_addr(&mut self, key: &str, default: SocketAddr) -> SocketAddr {
        let value = self.opt_socket_addr(key);
        self.or_default(key, value, default, |address| {
            values::show_text(&address.to_string())
        })
    }

    /// An address to listen on that may be absent.
    pub fn opt_socket_addr(&mut self, key: &str) -> Option<SocketAddr> {
        let allowed = "IP:PORT, such as \"127.0.0.1:8081\", \"0.0.0.0:8081\" or \"[::1]:0\" (port 0: any free one)";
        self.scalar(
            key,
            allowed,
            |address: &SocketAddr| values::show_text(&address.to_string()),
            |kind, _| match kind {
                Kind::String(text) => text.trim().parse().ok(),
                _ => None,
            },
        )
    }

    /// One of a fixed set of words.
    pub fn choice(&mut self, key: &str, default: &str, choices: &[&str]) -> String {
        let value = self.opt_choice(key, choices);
        self.or_default(key, value, default.to_owned(), |text| {
            values::show_text(text)
        })
    }

    /// One of a fixed set of words, or absent.
    pub fn opt_choice(&mut self, key: &str, choices: &[&str]) -> Option<String> {
        self.scalar(
            key,
            one_of(choices),
            |text: &String| values::show_text(text),
            |kind, _| match kind {
                Kind::String(text) if choices.contains(&text.as_str()) => Some(text.clone()),
                _ => None,
            },
        )
    }

    /// A path of a file or folder.
    pub fn path(&mut self, key: &str, default: &str) -> PathBuf {
        let value = self.opt_path(key);
        self.or_default(key, value, PathBuf::from(default), |path| {
            values::show_text(&path.display().to_string())
        })
    }

    /// A path that may be absent.
    pub fn opt_path(&mut self, key: &str) -> Option<PathBuf> {
        let show = |path: &PathBuf| values::show_text(&path.display().to_string());
        self.scalar(
            key,
            "the path of a file, not empty",
            show,
            |kind, _| match kind {
                Kind::String(text) if !text.is_empty() => Some(PathBuf::from(text)),
                _ => None,
            },
        )
    }
}

/// What [`Section::web_url`] takes.
pub const WEB_URL: &str = "an address like \"http://127.0.0.1:8081\" or \"https://shop.example\" (http or https only, no user name, query or fragment)";

/// The value of [`Section::web_url`].
pub fn parse_web_url(text: &str) -> Option<http::Uri> {
    values::parse_base_url(text, &["http", "https"])
}

pub(super) struct OneOf<'a>(&'a [&'a str]);

impl Display for OneOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.len().saturating_sub(1);
        for (index, word) in self.0.iter().enumerate() {
            let before = match index {
                0 => "",
                index if index == last => " or ",
                _ => ", ",
            };
            write!(f, "{before}{word:?}")?;
        }
        Ok(())
    }
}

pub(super) fn one_of<'a>(choices: &'a [&'a str]) -> OneOf<'a> {
    OneOf(choices)
}
