//! Query parameters.

use super::wording;
use crate::problem::Problem;
use axum::extract::{FromRequestParts, Query as AxumQuery};
use http::Uri;
use http::request::Parts;
use serde::de::DeserializeOwned;
use std::error::Error as _;

/// The query's parameters; 400 that says what is missing or wrong.
///
/// Stricter than axum's: a broken percent escape or one that is not UTF-8 is refused, not replaced.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parse(&parts.uri).map(Self)
    }
}

fn parse<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    if !is_decodable(uri.query().unwrap_or("")) {
        return Err(Problem::bad_request(
            "The query is not valid: a percent escape is broken or not UTF-8",
        ));
    }
    match AxumQuery::<T>::try_from_uri(uri) {
        Ok(AxumQuery(value)) => Ok(value),
        Err(rejection) => Err(rejected(
            &rejection
                .source()
                .map_or_else(|| rejection.body_text(), ToString::to_string),
        )),
    }
}

/// serde's message: `missing field `page``, or the parameter's name before a colon.
fn rejected(message: &str) -> Problem {
    let quoted = |start: &str| {
        message
            .strip_prefix(start)
            .and_then(|rest| rest.split('`').next())
    };
    let of = |name: &str, what: &str| {
        Problem::bad_request(format!("Query parameter `{name}` {what}")).with("parameter", name)
    };
    if let Some(name) = quoted("missing field `") {
        return of(name, "is missing");
    }
    if let Some(name) = quoted("duplicate field `") {
        return of(name, &format!("is given more than once ({message})"));
    }
    match message.split_once(": ") {
        Some((name, reason)) if !name.contains(char::is_whitespace) => {
            let reason = wording::of_message(reason);
            Problem::bad_request(format!("The query is not acceptable: {name}: {reason}"))
                .with("parameter", name)
        }
        _ => Problem::bad_request(format!(
            "The query is not acceptable: {}",
            wording::of_message(message)
        )),
    }
}

/// Every `%` starts an escape of two hex digits and the result is UTF-8.
fn is_decodable(query: &str) -> bool {
    let mut decoded = Vec::with_capacity(query.len());
    let mut bytes = query.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return false;
        };
        decoded.push((high * 16 + low) as u8);
    }
    std::str::from_utf8(&decoded).is_ok()
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Search {
        text: String,
        page: Option<u32>,
    }

    #[test]
    fn takes_what_fits() {
        let search = parse::<Search>(&"/x?text=a%20b+%C3%A4&page=2".parse().expect("a target"))
            .expect("fits");
        assert_eq!(
            search,
            Search {
                text: "a b \u{e4}".to_owned(),
                page: Some(2)
            }
        );
    }

    #[test]
    fn says_which_parameter_is_wrong_and_how() {
        let cases = [
            ("", "Query parameter `text` is missing"),
            ("?page=1", "Query parameter `text` is missing"),
            (
                "?text=a&page=x",
                "The query is not acceptable: page: not a whole number of the expected kind",
            ),
            (
                "?text=a&page=-1",
                "The query is not acceptable: page: not a whole number of the expected kind",
            ),
            (
                "?text=a&page=",
                "The query is not acceptable: page: empty, a number is expected",
            ),
            (
                "?text=a&page=4294967296",
                "The query is not acceptable: page: the number is too large",
            ),
            (
                "?text=a&text=b",
                "Query parameter `text` is given more than once (duplicate field `text`)",
            ),
            (
                "?text=a&x=1",
                "The query is not acceptable: x: unknown field `x`, expected `text` or `page`",
            ),
            (
                "?text=%",
                "The query is not valid: a percent escape is broken or not UTF-8",
            ),
            (
                "?text=%4",
                "The query is not valid: a percent escape is broken or not UTF-8",
            ),
            (
                "?text=%zz",
                "The query is not valid: a percent escape is broken or not UTF-8",
            ),
            (
                "?text=%c3%28",
                "The query is not valid: a percent escape is broken or not UTF-8",
            ),
        ];
        for (query, detail) in cases {
            let problem =
                parse::<Search>(&format!("/x{query}").parse().expect("a target")).expect_err(query);
            assert_eq!(
                (problem.status().as_u16(), problem.detail_text()),
                (400, detail),
                "{query}"
            );
        }
    }
}
