//! Path parameters.

use crate::problem::Problem;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path as AxumPath};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// The parameters of the matched route; 400 with the parameter's name when one is not what it must be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match AxumPath::<T>::from_request_parts(parts, state).await {
            Ok(AxumPath(value)) => Ok(Self(value)),
            Err(rejection) => Err(rejected(rejection)),
        }
    }
}

fn rejected(rejection: PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else {
        tracing::error!("a handler asks for path parameters of a route that has none");
        return Problem::internal();
    };
    let detail = match error.into_kind() {
        ErrorKind::ParseErrorAtKey {
            key,
            value,
            expected_type,
        } => {
            return bad_parameter(
                &key,
                format!(
                    "Path parameter `{key}` is {value:?}, expected {}",
                    describe(expected_type)
                ),
            );
        }
        ErrorKind::DeserializeError {
            key,
            value,
            message,
        } => {
            return bad_parameter(
                &key,
                format!("Path parameter `{key}` is {value:?}: {message}"),
            );
        }
        ErrorKind::InvalidUtf8InPathParam { key } => {
            return bad_parameter(
                &key,
                format!("Path parameter `{key}` is not valid UTF-8 after percent-decoding"),
            );
        }
        ErrorKind::ParseErrorAtIndex {
            value,
            expected_type,
            ..
        }
        | ErrorKind::ParseError {
            value,
            expected_type,
        } => {
            format!(
                "The path parameter is {value:?}, expected {}",
                describe(expected_type)
            )
        }
        ErrorKind::Message(message) => format!("The path is not acceptable: {message}"),
        other => {
            tracing::error!(kind = ?other, "a handler's path parameters do not fit its route");
            return Problem::internal();
        }
    };
    Problem::bad_request(detail)
}

fn bad_parameter(name: &str, detail: String) -> Problem {
    Problem::bad_request(detail).with("parameter", name)
}

/// Rust's type names mean nothing to a client.
fn describe(type_name: &str) -> &str {
    match type_name {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => {
            "a whole number that is not negative and not too large"
        }
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number that is not too large",
        "f32" | "f64" => "a number",
        "bool" => "true or false",
        "char" => "one character",
        other => other,
    }
}
