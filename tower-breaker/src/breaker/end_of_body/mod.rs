//! Verdicts at the end of the response's body.
//!
//! [`CircuitBreakerLayer`] judges a call once the head of its response is there. By then a gRPC call's status, in the trailers, is
//! still to come, and a download may yet break off half-way. [`until_end_of_body`](CircuitBreakerLayer::until_end_of_body) makes it an
//! [`EndOfBodyLayer`], whose responses carry the call's admission in their body ([`JudgedBody`]) until that ends.
//!
//! # How a call may end, after its head
//!
//! | the body | counted as |
//! |---|---|
//! | was judged by the head alone ([`Head::Known`](crate::classify::Head::Known)), such as that of a `503` | that, when the head comes |
//! | ended, with or without trailers | what the [`ClassifyEnd`](crate::classify::ClassifyEnd) says |
//! | is at its end when the head comes ([`is_end_stream`](http_body::Body::is_end_stream)) | the same, when the head comes |
//! | will not be sent: the request was a `HEAD`, or the status is `204`, `304` or `1xx` | the same, when the head comes |
//! | failed, as one does that is shorter than its `Content-Length` | the same, with the error: a failure, unless your classifier knows better |
//! | panicked | failure; the panic goes on |
//! | gave no frame for too long ([`stall_after`](EndOfBodyLayer::stall_after)) | failure |
//! | was dropped before its end | abandoned |
//!
//! A body is at its end when it says so by `None`, by trailers, or by `is_end_stream` after a frame; and, unless the classifier
//! [reads trailers](crate::classify::ClassifyEnd::reads_trailers), when all has come that the response's `Content-Length` announced: a reader that
//! knows how long the body is need not ask for what comes after it.
//!
//! # What follows from that
//!
//! * A call lasts until the end of its body: its success is not known before, a slow-call rule measures all of it, and a trial keeps its slot so
//!   long. That includes the time that the reader takes between frames. Set a [trial lease](super::CircuitBreakerBuilder::trial_lease) that is longer than the longest body. For streams without an end,
//!   judge heads.
//! * A reader that wants only a part of a body abandons the call. Where readers do that while all is well, set
//!   [`Abandoned::Ignore`](super::Abandoned::Ignore).
//! * After an upgrade (`101`) there is no body: the call is judged at its head.

mod body;
mod error;
mod future;
mod layer;
mod service;
mod settle;
mod stall;

pub(crate) use self::layer::LONGEST;
pub use self::{
    body::JudgedBody,
    error::{BodyError, Stalled},
    future::EndOfBodyFuture,
    layer::EndOfBodyLayer,
    service::EndOfBodyService,
    stall::{NoStallLimit, StallAfter, StallLimit},
};
#[cfg(doc)]
use super::CircuitBreakerLayer;
