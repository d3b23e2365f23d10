//! What counts as a failure.
//!
//! A [`Classify`] judges every finished call: [`Verdict::Success`], [`Verdict::Failure`] or [`Verdict::Ignore`]. It
//! differs from tower-http's classifiers, which name what went wrong for a log line, in that it only says what the result
//! tells about the health of the service behind the guard. A caller's own mistake (a `404`, a `422`) tells that the
//! service is well.
//!
//! Ready-made: [`AnyError`] (the default) and [`ErrorChain`]; with the `http` feature `HttpStatus` and `Grpc`; with the `tower-http`
//! feature any of tower-http's, by `FromTowerHttp`. For adaptive bulkheads [`Overload`], with the `http` feature `HttpOverload`. [`TypedGuard`] lends any of them eyes for a typed guard further in. Any
//! `Fn(Result<&Response, &Error>) -> Verdict + Clone` is a classifier too:
//!
//! ```
//! use tower_breaker::{BoxError, CircuitBreaker, CircuitBreakerLayer, classify::Verdict};
//!
//! let breaker = CircuitBreaker::builder("stock").consecutive_failures(5).build()?;
//! let layer = CircuitBreakerLayer::new(breaker).classify(|result: Result<&String, &BoxError>| match result {
//!     Ok(answer) if answer.is_empty() => Verdict::Failure,
//!     Ok(_) => Verdict::Success,
//!     Err(_) => Verdict::Failure,
//! });
//! # let _ = layer;
//! # Ok::<(), BoxError>(())
//! ```
//!
//! A verdict is given when the response's head is there. With `CircuitBreakerLayer::until_end_of_body` (feature `http`) it is given at
//! the end of the response's body, by classifiers that are a `ClassifyBody` too, as all of the above are.

#[cfg(feature = "http")]
mod body;
#[cfg(feature = "tower-http")]
mod from_tower_http;
#[cfg(feature = "http")]
mod grpc;
#[cfg(feature = "http")]
mod http_status;
mod overload;
pub(crate) mod refusal;
#[cfg(feature = "http")]
mod retry_after;
mod typed_guard;

use std::{error::Error as StdError, time::Duration};

#[cfg(feature = "tower-http")]
pub use self::from_tower_http::{FromTowerHttp, TowerHttpCall, TowerHttpEnd};
#[cfg(feature = "http")]
pub use self::{
    body::{BodyErrors, ClassifyBody, ClassifyEnd, Head, WithBody},
    grpc::{Grpc, GrpcEnd, grpc_verdict},
    http_status::HttpStatus,
    overload::{HttpOverload, OverloadEnd},
};
pub use self::{overload::Overload, typed_guard::TypedGuard};

/// What a result says about the service behind the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It did its work.
    Success,
    /// It is in trouble.
    Failure,
    /// Nothing. The result is recorded by no rule, and a trial call's slot is returned.
    Ignore,
}

/// Judges calls. Shared by all calls of a service, so it keeps what belongs to one call in [`Classify::Call`].
pub trait Classify<Req, Res, Err> {
    /// Judges one call.
    type Call: ClassifyCall<Res, Err>;

    /// Called with the request of every admitted call, before the service behind the guard gets it.
    fn begin(&self, request: &Req) -> Self::Call;
}

/// Judges the one call that it was made for.
pub trait ClassifyCall<Res, Err> {
    /// What the result says about the service behind the guard.
    fn verdict(self, result: Result<&Res, &Err>) -> Verdict;

    /// How long the service behind the guard asks to be left alone, if this result is a failure and says so; by default nothing. Asked
    /// before [`verdict`](Self::verdict), and only by a circuit that wants to know
    /// ([`honor_retry_after`](crate::breaker::CircuitBreakerBuilder::honor_retry_after)).
    fn retry_after(&self, result: Result<&Res, &Err>) -> Option<Duration> {
        let _ = result;
        None
    }

    /// Whether the service behind the guard says that this call must not be made again, whatever its verdict; by default not. Asked
    /// before [`verdict`](Self::verdict), and only by a `RetryPolicy`.
    fn forbids_retry(&self, result: Result<&Res, &Err>) -> bool {
        let _ = result;
        false
    }
}

impl<F, Req, Res, Err> Classify<Req, Res, Err> for F
where
    F: Fn(Result<&Res, &Err>) -> Verdict + Clone,
{
    type Call = F;

    fn begin(&self, _: &Req) -> F {
        self.clone()
    }
}

impl<F, Res, Err> ClassifyCall<Res, Err> for F
where
    F: Fn(Result<&Res, &Err>) -> Verdict,
{
    fn verdict(self, result: Result<&Res, &Err>) -> Verdict {
        self(result)
    }
}

/// Every error is a failure, except that of a limiter further in, which is ignored: a [`Refused`](crate::Refused), or the error of tower's
/// load shed. The default.
///
/// It knows a refusal as itself, anywhere in the chain of a [`BoxError`](crate::BoxError), and in the
/// [`Error`](crate::Error) of a typed guard around a boxed or an infallible error.
///
/// It does not know the refusal in an `Error<E>` over any other `E`, and counts it as a failure: that an error is `'static` is all that may be
/// asked of it, and a type can only be recognised by its full name. If there is a typed guard further in, over an error of its own,
/// use [`TypedGuard`]`(AnyError)`, which needs to know nothing of `E`, or [`ErrorChain`], which looks at every source.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyError;

impl<Req, Res, Err: 'static> Classify<Req, Res, Err> for AnyError {
    type Call = Self;

    fn begin(&self, _: &Req) -> Self {
        *self
    }
}

impl<Res, Err: 'static> ClassifyCall<Res, Err> for AnyError {
    fn verdict(self, result: Result<&Res, &Err>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(err) if refusal::is_in(err) => Verdict::Ignore,
            Err(_) => Verdict::Failure,
        }
    }
}

/// Every error is a failure, whatever it is, and every response a success. Asks nothing of any type, for which it cannot tell a limiter's refusal
/// from a failure. The default of a [`BulkheadLayer`](crate::BulkheadLayer), which has no use for verdicts unless its limit is adaptive.
#[derive(Debug, Clone, Copy, Default)]
pub struct EveryError;

impl<Req, Res, Err> Classify<Req, Res, Err> for EveryError {
    type Call = Self;

    #[inline]
    fn begin(&self, _: &Req) -> Self {
        *self
    }
}

impl<Res, Err> ClassifyCall<Res, Err> for EveryError {
    #[inline]
    fn verdict(self, result: Result<&Res, &Err>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Failure,
        }
    }
}

/// As [`AnyError`], for error types that implement [`std::error::Error`]: looks for a limiter's refusal through the whole
/// chain of sources, whatever their types.
#[derive(Debug, Clone, Copy, Default)]
pub struct ErrorChain;

impl<Req, Res, Err: StdError + 'static> Classify<Req, Res, Err> for ErrorChain {
    type Call = Self;

    fn begin(&self, _: &Req) -> Self {
        *self
    }
}

impl<Res, Err: StdError + 'static> ClassifyCall<Res, Err> for ErrorChain {
    fn verdict(self, result: Result<&Res, &Err>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(err) if refusal::is_in_chain(err) => Verdict::Ignore,
            Err(_) => Verdict::Failure,
        }
    }
}
