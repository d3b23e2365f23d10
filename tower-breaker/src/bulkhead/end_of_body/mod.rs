//! Permits that last to the end of the response's body.
//!
//! [`BulkheadLayer`] gives a call's permit back when the head of its response is there. But a dependency that streams a
//! large answer is busy with it to the last byte, and so are the connection and the memory that the answer takes here.
//! [`until_end_of_body`](BulkheadLayer::until_end_of_body) makes it an [`EndOfBodyLayer`], whose responses carry the permit
//! in their body ([`PermitBody`]) until that ends.
//!
//! # When the permit is given back
//!
//! | the call | at |
//! |---|---|
//! | failed, panicked or was dropped before there was a response | that moment |
//! | its body has ended, with or without trailers | the end, which may be seen [before the reader asks for it](#the-end) |
//! | its body is at its end when the head comes ([`is_end_stream`](http_body::Body::is_end_stream)) | the head |
//! | its body will not be sent: the request was a `HEAD`, or the status is `204`, `304` or `1xx` | the head |
//! | its body failed | the error |
//! | its body panicked | the panic, before it goes on |
//! | its body gave no frame for too long ([`stall_after`](EndOfBodyLayer::stall_after)) | the limit |
//! | its body was dropped before its end | the drop, after the inner body has let go of all it holds |
//! | it made a tunnel of the connection: `101`, or a success of a `CONNECT` | the end of the [`TunnelPermit`] |
//!
//! # The end
//!
//! A body is at its end when it says so by `None`, by trailers, or by `is_end_stream` after a frame; and when all has come
//! that the response's `Content-Length` announced. So a reader that knows how long the body is need not ask for what comes
//! after it.
//!
//! # What follows from that
//!
//! * A reader that is slow keeps its permit for as long as it reads, and one that stops reading and keeps the body keeps it for good. That is
//!   what a bulkhead is for: the call does take up a place, whoever is to blame. The stall limit does not end it, since it
//!   counts only while the reader waits for the body. Bound the time of a whole call, body included, where readers are
//!   strangers: drop the body, or close the reader's connection.
//! * A limit that finds itself ([`adaptive`](super::BulkheadBuilder::adaptive)) hears the classifier's verdict, and the latency, when the head
//!   comes: a slow reader must not look like a slow service. Of the body it hears a stall, as an overload. What gRPC's trailers say comes too late
//!   for it, unless there is nothing but trailers, which are the head then.
//! * `max_concurrent` now bounds responses being read, not requests being answered. It has to be larger than before by as
//!   much as reading takes longer than answering.
//! * Reading one response to its end while waiting for another one, of the same bulkhead, may wait for ever: a task that
//!   holds a permit must not wait for one. Set a [`max_wait`](super::BulkheadBuilder::max_wait), or do not wait.

mod body;
mod future;
mod layer;
mod service;
mod settle;
mod tunnel;

pub use self::{
    body::PermitBody, future::EndOfBodyFuture, layer::EndOfBodyLayer, service::EndOfBodyService,
    tunnel::TunnelPermit,
};
#[cfg(doc)]
use super::BulkheadLayer;
pub use crate::http::body::{BodyError, NoStallLimit, StallAfter, StallLimit, Stalled};
