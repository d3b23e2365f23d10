//! The copy of a request that is sent again.

use http::Request;
use tower_breaker::retry::Replay;

use crate::data::body::Outgoing;

/// Copies requests. A body is [kept](Outgoing::kept) while it is sent, up to a bound; one that grows beyond it cannot be sent again,
/// which the judge of the attempt sees.
#[derive(Debug, Clone, Copy)]
pub struct Copies;

impl Replay<Request<Outgoing>> for Copies {
    fn replay(&self, request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
        let mut copy = Request::new(request.body().copy()?);
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        copy.headers_mut().clone_from(request.headers());
        Some(copy)
    }
}
