//! Request bodies on their way to an upstream.

use std::{error::Error, fmt};

use axum::body::Body;
use http_body_util::BodyExt;
use tower::BoxError;

/// The client's request body broke off, or went over the limit. Marked, because to the HTTP client a body that fails looks
/// like a call that failed, and the upstream must not be blamed for it.
#[derive(Debug)]
pub struct RequestBodyError(BoxError);

impl fmt::Display for RequestBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request body could not be read from the client")
    }
}

impl Error for RequestBodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

impl RequestBodyError {
    /// Whether a call failed because of its request body.
    #[must_use]
    pub fn caused(error: &BoxError) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&**error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// Marks the errors of a request body.
pub fn marked(body: Body) -> Body {
    Body::new(body.map_err(|error| RequestBodyError(error.into())))
}
