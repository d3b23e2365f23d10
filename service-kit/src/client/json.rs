//! Bounded JSON answers.

use crate::BoxError;
use bytes::Buf;
use http::Response;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

/// Why an upstream's answer could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The body is larger than the limit.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body broke off.
    #[error("the answer broke off")]
    Body(#[source] BoxError),
    /// The body is not JSON, or not of the expected shape.
    #[error("the answer is not the expected JSON")]
    Parse(#[from] serde_json::Error),
}

/// Reads at most `limit` bytes of the body and parses them.
pub async fn json<T, B>(response: Response<B>, limit: usize) -> Result<T, JsonError>
where
    T: DeserializeOwned,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    let body = Limited::new(response.into_body(), limit)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                JsonError::TooLarge { limit }
            } else {
                JsonError::Body(error)
            }
        })?;
    Ok(serde_json::from_reader(body.aggregate().reader())?)
}
