//! A connection in use.

use std::rc::Rc;

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1::SendRequest},
};

use super::Http1Pool;
use crate::data::body::Outgoing;

/// The right to use a connection. Dropped before [`give_back`](Self::give_back), it closes it: what was under way on it may still be.
#[derive(Debug)]
pub struct Lease {
    sender: SendRequest<Outgoing>,
    pool: Rc<Http1Pool>,
    reused: bool,
}

impl Lease {
    pub(super) fn new(sender: SendRequest<Outgoing>, pool: Rc<Http1Pool>, reused: bool) -> Self {
        Self {
            sender,
            pool,
            reused,
        }
    }

    /// Whether it carried requests before: then it may have been closed by the other side while nobody looked.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The exchange failed. If nothing of the request was sent, the error has it.
    pub async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Outgoing>>> {
        self.sender.try_send_request(request).await
    }

    /// The answer has been read to its end.
    pub fn give_back(self) {
        self.pool.put(self.sender);
    }
}
