//! Request bodies on their way to an upstream.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
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

/// Whose turn it is while a request body is under way. Told by the body, asked when the call has taken too long.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    waits_for_client: Arc<AtomicBool>,
}

impl Upload {
    /// Whether more of the body was wanted and the client had not sent it: then a call that takes too long says nothing about
    /// the upstream. One that does not read its requests is not waited for by this measure, and is to blame.
    #[must_use]
    pub fn waits_for_client(&self) -> bool {
        self.waits_for_client.load(Ordering::Relaxed)
    }
}

/// Marks the errors of a request body, and lets its progress be watched.
pub fn marked(body: Body) -> (Body, Upload) {
    let upload = Upload::default();
    let marked = Marked {
        body,
        upload: upload.clone(),
    };
    (Body::new(marked), upload)
}

struct Marked {
    body: Body,
    upload: Upload,
}

impl HttpBody for Marked {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.upload
            .waits_for_client
            .store(polled.is_pending(), Ordering::Relaxed);
        polled.map_err(|error| RequestBodyError(error.into()))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
