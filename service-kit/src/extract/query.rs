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
        Err(rejection) => {
            let reason = rejection
                .source()
                .map_or_else(|| rejection.body_text(), ToString::to_string);
            Err(Problem::bad_request(format!(
                "The query is not acceptable: {}",
                wording::of_message(&reason)
            )))
        }
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
