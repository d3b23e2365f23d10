//! A connection in use.

use std::rc::Rc;

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1::SendRequest},
};

use super::{Http1Pool, http2::Http2Lease};
use crate::data::body::Outgoing;

/// The right to use a connection.
#[derive(Debug)]
pub enum Lease {
    /// The whole of it.
    Http1(Http1Lease),
    /// One of its streams.
    Http2(Http2Lease),
}

impl Lease {
    /// Whether it carried requests before: then it may have been closed by the other side while nobody looked.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        match self {
            Self::Http1(lease) => lease.reused,
            Self::Http2(lease) => lease.is_reused(),
        }
    }

    /// Whether requests are to be as HTTP/2 has them.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The exchange failed. If nothing of the request was sent, the error has it.
    pub async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Outgoing>>> {
        match self {
            Self::Http1(lease) => lease.sender.try_send_request(request).await,
            Self::Http2(lease) => lease.send(request).await,
        }
    }

    /// The answer has been read to its end.
    pub fn give_back(self) {
        if let Self::Http1(lease) = self {
            lease.pool.put(lease.sender);
        }
    }
}

/// A connection with one request at a time. Dropped before it is given back, it closes it: what was under way on it may still be.
#[derive(Debug)]
pub struct Http1Lease {
    sender: SendRequest<Outgoing>,
    pool: Rc<Http1Pool>,
    reused: bool,
}

impl Http1Lease {
    pub(super) fn new(sender: SendRequest<Outgoing>, pool: Rc<Http1Pool>, reused: bool) -> Self {
        Self {
            sender,
            pool,
            reused,
        }
    }

    /// Leaves it, unused, to whoever comes first.
    pub(super) fn give_back(self) {
        self.pool.put(self.sender);
    }
}
