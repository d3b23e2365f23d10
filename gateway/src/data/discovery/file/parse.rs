//! The format of an endpoint file: TOML with one key, `endpoints`, which is written as in `[upstreams.NAME]`.
//!
//! ```toml
//! endpoints = [
//!     "http://10.0.0.1:8080",
//!     { url = "http://10.0.0.2:8080", weight = 2, zone = "b" },
//! ]
//! ```
//!
//! One array, and no lines or tables that follow one another, because of what a reader sees of a file that is just being written: a
//! beginning of this is never a file with fewer endpoints, it is no file at all. An empty set has to be said: `endpoints = []`.

use std::collections::HashSet;

use http::Uri;
use toml::{Table, Value};

use crate::{config::model::Endpoint, data::discovery::MAX_ENDPOINTS};

/// A weight at most: so many, of as many endpoints as there may be, still add up.
const HEAVIEST: u32 = 1_000_000;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseError {
    #[error("is not UTF-8")]
    NotText,
    #[error("is empty; an upstream without endpoints is `endpoints = []`")]
    Empty,
    #[error("is not TOML: {0}")]
    Syntax(String),
    #[error("has no list `endpoints`; none are `endpoints = []`")]
    NoList,
    #[error("has a key `{0}`; allowed: endpoints")]
    UnknownKey(String),
    #[error("has {0} endpoints; allowed: up to {MAX_ENDPOINTS}")]
    TooMany(usize),
    #[error("endpoint {number}: {problem}")]
    Endpoint { number: usize, problem: Problem },
}

/// What is wrong with one endpoint. They are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("`{0}` is not http://host[:port] or https://host[:port]")]
    Url(String),
    #[error("is neither a URL nor a table with `url`")]
    Shape,
    #[error("has a key `{0}`; allowed: url, weight, zone")]
    UnknownKey(String),
    #[error("`weight` is a whole number from 1 to {HEAVIEST}")]
    Weight,
    #[error("`zone` is a text that is not empty")]
    Zone,
    #[error("`{0}` is there twice")]
    Twice(String),
}

pub(super) fn parse(content: &[u8]) -> Result<Vec<Endpoint>, ParseError> {
    let text = std::str::from_utf8(content).map_err(|_| ParseError::NotText)?;
    if text.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        // Rendered it has several lines, with the place.
        ParseError::Syntax(error.to_string().trim_end().replace('\n', " "))
    })?;
    if let Some(key) = table.keys().find(|key| *key != "endpoints") {
        return Err(ParseError::UnknownKey(key.clone()));
    }
    let list = table.get("endpoints").and_then(Value::as_array);
    let list = list.ok_or(ParseError::NoList)?;
    if list.len() > MAX_ENDPOINTS {
        return Err(ParseError::TooMany(list.len()));
    }
    let mut seen = HashSet::new();
    let numbered = list.iter().zip(1..).map(|(value, number)| {
        let at = |problem| ParseError::Endpoint { number, problem };
        let endpoint = endpoint(value).map_err(at)?;
        let place = format!("{}:{}", endpoint.host, endpoint.port);
        if seen.insert(place.clone()) {
            Ok(endpoint)
        } else {
            Err(at(Problem::Twice(place)))
        }
    });
    numbered.collect()
}

fn endpoint(value: &Value) -> Result<Endpoint, Problem> {
    let table = match value {
        Value::String(text) => return url(text),
        Value::Table(table) => table,
        _ => return Err(Problem::Shape),
    };
    let known = |key: &&String| !matches!(key.as_str(), "url" | "weight" | "zone");
    if let Some(key) = table.keys().find(known) {
        return Err(Problem::UnknownKey(key.clone()));
    }
    let text = table.get("url").and_then(Value::as_str);
    let mut endpoint = url(text.ok_or(Problem::Shape)?)?;
    if let Some(weight) = table.get("weight") {
        let weight = weight.as_integer().and_then(|it| u32::try_from(it).ok());
        let weight = weight.filter(|weight| (1..=HEAVIEST).contains(weight));
        endpoint.weight = weight.ok_or(Problem::Weight)?;
    }
    if let Some(zone) = table.get("zone") {
        let zone = zone.as_str().filter(|zone| !zone.is_empty());
        endpoint.zone = Some(zone.ok_or(Problem::Zone)?.into());
    }
    Ok(endpoint)
}

fn url(text: &str) -> Result<Endpoint, Problem> {
    let wrong = || Problem::Url(text.into());
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let https = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong()),
    };
    let authority = uri.authority().ok_or_else(wrong)?;
    let bare = !authority.as_str().contains('@') && uri.path() == "/" && uri.query().is_none();
    if !bare || authority.host().is_empty() {
        return Err(wrong());
    }
    let port = match authority.port_u16() {
        Some(0) => return Err(wrong()),
        Some(port) => port,
        // `http://host:` and `http://host:99999` have a port that is none.
        None if authority.as_str() != authority.host() => return Err(wrong()),
        None if https => 443,
        None => 80,
    };
    Ok(Endpoint {
        host: authority.host().to_ascii_lowercase().into(),
        port,
        https,
        weight: 1,
        zone: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<Endpoint>, ParseError> {
        parse(text.as_bytes())
    }

    #[test]
    fn both_forms_of_an_endpoint() {
        let read = read(
            "# made by hand\nendpoints = [\n  \"http://10.0.0.1:8080\",\n  \
             { url = \"https://Shop.example\", weight = 2, zone = \"b\" },\n]\n",
        );
        let plain = Endpoint {
            host: "10.0.0.1".into(),
            port: 8080,
            https: false,
            weight: 1,
            zone: None,
        };
        let full = Endpoint {
            host: "shop.example".into(),
            port: 443,
            https: true,
            weight: 2,
            zone: Some("b".into()),
        };
        assert_eq!(read.unwrap(), [plain, full]);
    }

    #[test]
    fn none_has_to_be_said() {
        assert_eq!(read("endpoints = []").unwrap(), []);
        assert_eq!(read(""), Err(ParseError::Empty));
        assert_eq!(read(" \n\n"), Err(ParseError::Empty));
        assert_eq!(read("# nothing yet\n"), Err(ParseError::NoList));
        assert_eq!(read("endpoints = \"http://a\""), Err(ParseError::NoList));
    }

    #[test]
    fn whatever_is_not_quite_right_is_refused_and_named() {
        let cases = [
            ("endpoints = [", "is not TOML"),
            ("10.0.0.1:8080 weight=2", "is not TOML"),
            ("endpoints = []\nendpoint = []", "a key `endpoint`"),
            ("endpoints = [1]", "endpoint 1: is neither"),
            (
                "endpoints = [\"http://a\", \"b:80\"]",
                "endpoint 2: `b:80` is not http",
            ),
            ("endpoints = [\"ftp://a\"]", "`ftp://a` is not"),
            ("endpoints = [\"http://\"]", "is not http"),
            ("endpoints = [\"http://a/path\"]", "is not http"),
            ("endpoints = [\"http://a?q\"]", "is not http"),
            ("endpoints = [\"http://me@a\"]", "is not http"),
            ("endpoints = [\"http://a:0\"]", "is not http"),
            ("endpoints = [\"http://a:99999\"]", "is not http"),
            ("endpoints = [{ weight = 1 }]", "is neither"),
            (
                "endpoints = [{ url = \"http://a\", wieght = 1 }]",
                "a key `wieght`",
            ),
            (
                "endpoints = [{ url = \"http://a\", weight = 0 }]",
                "`weight` is",
            ),
            (
                "endpoints = [{ url = \"http://a\", weight = 1.5 }]",
                "`weight` is",
            ),
            (
                "endpoints = [{ url = \"http://a\", weight = 1000001 }]",
                "`weight` is",
            ),
            (
                "endpoints = [{ url = \"http://a\", zone = \"\" }]",
                "`zone` is",
            ),
            (
                "endpoints = [\"http://a\", \"http://A:80\"]",
                "endpoint 2: `a:80` is there twice",
            ),
        ];
        for (text, problem) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert_eq!(parse(&[0xff, 0xfe]), Err(ParseError::NotText));
        let many: Vec<_> = (0..=MAX_ENDPOINTS)
            .map(|n| format!("\"http://h{n}\""))
            .collect();
        let many = format!("endpoints = [{}]", many.join(","));
        assert_eq!(read(&many), Err(ParseError::TooMany(MAX_ENDPOINTS + 1)));
    }

    fn files() -> impl Strategy<Value = String> {
        let one = ("[a-z]{1,8}", 1..999_u16, 1..9_u32, any::<bool>()).prop_map(
            |(host, port, weight, table)| {
                if table {
                    format!(
                        "  {{ url = \"http://{host}:{port}\", weight = {weight}, zone = \"z\" }},\n"
                    )
                } else {
                    format!("  \"http://{host}:{port}\", # here\n")
                }
            },
        );
        prop::collection::vec(one, 0..6)
            .prop_map(|all| format!("# a comment\nendpoints = [\n{}]\n# the end\n", all.concat()))
    }

    proptest! {
        /// What a reader sees who comes while the file is being written from its beginning.
        #[test]
        fn the_beginning_of_a_file_is_refused_or_is_the_whole(text in files()) {
            let whole = read(&text);
            prop_assume!(whole.is_ok());
            for end in 0..text.len() {
                let beginning = read(&text[..end]);
                prop_assert!(beginning.is_err() || beginning == whole, "{}", &text[..end]);
            }
        }

        #[test]
        fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
