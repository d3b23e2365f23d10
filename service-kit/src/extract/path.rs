//! Path parameters.

use super::wording;
use crate::problem::Problem;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path as AxumPath, RawPathParams};
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
            Err(rejection) => Err(rejected(rejection, only_parameter(parts, state).await)),
        }
    }
}

/// axum does not say which parameter is wrong when the route has only one.
async fn only_parameter<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<String> {
    let parameters = RawPathParams::from_request_parts(parts, state).await.ok()?;
    let mut names = parameters.iter().map(|(name, _)| name.to_owned());
    names.next().filter(|_| names.next().is_none())
}

fn rejected(rejection: PathRejection, only_parameter: Option<String>) -> Problem {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else {
        tracing::error!("a handler asks for path parameters of a route that has none");
        return Problem::internal();
    };
    let only = only_parameter.as_deref();
    match error.into_kind() {
        ErrorKind::ParseErrorAtKey {
            key,
            value,
            expected_type,
        } => bad_parameter(
            Some(&key),
            format!("is {value:?}, expected {}", wording::of_type(expected_type)),
        ),
        ErrorKind::ParseErrorAtIndex {
            value,
            expected_type,
            ..
        }
        | ErrorKind::ParseError {
            value,
            expected_type,
        } => bad_parameter(
            only,
            format!("is {value:?}, expected {}", wording::of_type(expected_type)),
        ),
        ErrorKind::DeserializeError {
            key,
            value,
            message,
        } => bad_parameter(
            Some(&key),
            format!("is {value:?}: {}", wording::of_message(&message)),
        ),
        ErrorKind::InvalidUtf8InPathParam { key } => {
            bad_parameter(Some(&key), "is not UTF-8 after percent-decoding".to_owned())
        }
        ErrorKind::Message(message) => bad_parameter(
            only,
            format!("is not acceptable: {}", wording::of_message(&message)),
        ),
        other => {
            tracing::error!(kind = ?other, "a handler's path parameters do not fit its route");
            Problem::internal()
        }
    }
}

fn bad_parameter(name: Option<&str>, what: String) -> Problem {
    match name {
        Some(name) => {
            Problem::bad_request(format!("Path parameter `{name}` {what}")).with("parameter", name)
        }
        None => Problem::bad_request(format!("A path parameter {what}")),
    }
}
