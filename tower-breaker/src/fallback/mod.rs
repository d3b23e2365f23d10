//! Fallback: when a call was refused or has failed, answer with something else, and say so.
//!
//! A guard turns a slow failure into a fast one; what the user sees is still a failure. A [`FallbackLayer`] makes an answer of it:
//! a fixed value, what a function makes of what happened, or another service, such as a cache of older answers. The answer says that it is
//! *degraded*, so that nobody takes it for the real one: over HTTP by a response extension and a header, otherwise by a hook.
//!
//! ```
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::{BoxError, CircuitBreaker, CircuitBreakerLayer, FallbackLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let breaker = CircuitBreaker::builder("ratings").consecutive_failures(5).build()?;
//! let mut ratings = ServiceBuilder::new()
//!     .layer(FallbackLayer::new("no ratings").value(Vec::<u32>::new()))
//!     .layer(CircuitBreakerLayer::new(breaker.clone()))
//!     .service(service_fn(async |_book: u32| Ok::<_, BoxError>(vec![5, 4])));
//! assert_eq!(ratings.ready().await?.call(7).await?, [5, 4]);
//! breaker.force_open();
//! assert_eq!(ratings.ready().await?.call(7).await?, []);
//! # Ok(())
//! # }
//! ```
//!
//! # How it differs from its neighbours
//!
//! * A [mode](crate::mode) turns only its own guard's refusals into something; a fallback sees whatever comes out of the stack
//!   inside, and may wait for its answer.
//! * [`ErrorResponseLayer`](crate::http::ErrorResponseLayer) says over HTTP *that* it failed; a fallback answers instead.
//! * tower's `Retry` and `Hedge` ask the same service again.
//!
//! # When
//!
//! | | answers instead, if |
//! |---|---|
//! | [`on_error`](FallbackLayer::on_error), the default | there is an error, a refusal included |
//! | [`on_refusal`](FallbackLayer::on_refusal) | the error is the refusal of a guard, anywhere in its chain, or of tower's load shed |
//! | [`on_typed_refusal`](FallbackLayer::on_typed_refusal) | the error is [`Error::Refused`](crate::Error), whatever error is inside |
//! | [`on_verdict`](FallbackLayer::on_verdict) | a [classifier](crate::classify) says failure, or the error is a refusal |
//! | [`on`](FallbackLayer::on) | a function says so |
//! | [`on_refused_response`](FallbackLayer::on_refused_response) | it was refused, as an error or as a response (`.respond()`) |
//! | [`on_failed_response`](FallbackLayer::on_failed_response), the default of [`http`](FallbackLayer::http) | it was refused, there is an error, or the status is a failure by [`HttpStatus`](crate::classify::HttpStatus) |
//!
//! # What
//!
//! | | answers with |
//! |---|---|
//! | [`value`](FallbackLayer::value) | clones of a value |
//! | [`answer`](FallbackLayer::answer) | what a function makes of [what happened](Happened) |
//! | [`then`](FallbackLayer::then) | the same, of an `async` function |
//! | [`then_with`](FallbackLayer::then_with) | the same, with something that was kept of the request |
//! | [`service`](FallbackLayer::service), [`service_with`](FallbackLayer::service_with) | what another service answers to the request, or to what was kept of it |
//!
//! A function may fail, and its error is what the caller gets; it has what happened, and may hand that on, by
//! [`Answer::Failed`], so that it is not marked as degraded. If the other service is not ready or fails, the caller gets what he would have
//! got without a fallback; until then that is kept, and if it is a response, whatever its body holds, such as a permit.
//!
//! Only the last three need the request, so only they keep anything of it, before each call: `service` a clone, the other two what
//! a function makes of it. Where that gives `None`, there is no fallback for this call.
//!
//! # In a stack
//!
//! Outermost: **fallback**, bulkhead, breaker, retry, time-out, client. Inside of a breaker its answers would pass for successes,
//! and the circuit would never open.
//!
//! A fallback is a second way through the code that runs only on bad days. Keep it simpler than the first; and if it calls
//! something, give that a bulkhead and a breaker of its own, because it gets all the load at once.
//!
//! # Readiness, cancelling, panics
//!
//! Readiness is the inner service's, error included: before a call there is nothing to answer. Guards that refuse are ready, so
//! this concerns services that are broken. The other service is asked whether it is ready only when it is needed, in the future
//! of the call, on a clone of its own.
//!
//! Dropping the call's future drops whichever is under way. The inner call is dropped before the fallback begins, so
//! what it held, such as a permit, is free by then. A panic of the inner service goes on; it is not answered.
//!
//! # Cost
//!
//! A call that needs no fallback clones the function or service that would answer, adds one to a reference count, and is judged. Futures are
//! not boxed. Nothing is allocated, except what keeping the request costs, and for a degraded answer over HTTP its header.

mod cause;
mod future;
mod instead;
mod layer;
mod mark;
mod service;
mod snapshot;
mod when;

pub use self::{
    cause::{Cause, Degraded, Happened},
    future::FallbackFuture,
    instead::{
        Answer, AnswerFuture, CloneRequest, Function, Instead, IntoAnswer, Keep, KeepNothing,
        ServiceFuture, Then, ThenWith, ToService, Value,
    },
    layer::{FallbackLayer, Undecided},
    mark::{Mark, Unmarked},
    service::FallbackService,
    snapshot::Snapshot,
    when::{Errors, Predicate, Refusals, TypedRefusals, Verdicts, When, WhenCall},
};
#[cfg(feature = "http")]
pub use self::{
    mark::HttpMark,
    when::{FailedResponses, RefusedResponses},
};
