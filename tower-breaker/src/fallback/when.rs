//! When a fallback answers.

use super::Cause;
use crate::{
    Error,
    classify::{Classify, ClassifyCall, Verdict, refusal},
};

/// Says when a fallback is to answer. Shared by all calls; what belongs to one call is in [`When::Call`].
pub trait When<Req, Res, Err> {
    /// Judges one call.
    type Call: WhenCall<Res, Err>;

    /// Called with the request of every call, before the service behind gets it.
    fn begin(&self, request: &Req) -> Self::Call;
}

/// Judges the one call that it was made for.
pub trait WhenCall<Res, Err> {
    /// Why the fallback is to answer instead. `None` if this result is what the caller shall get.
    fn cause(self, result: Result<&Res, &Err>) -> Option<Cause>;
}

macro_rules! without_request {
    ($when:ident, [$($param:ident),*], $res:ty, $err:ty, [$($bound:tt)*]) => {
        impl<Req, $($param),*> When<Req, $res, $err> for $when
        where
            $($bound)*
        {
            type Call = Self;

            fn begin(&self, _: &Req) -> Self {
                *self
            }
        }
    };
}

/// On every error, a refusal included.
#[derive(Debug, Clone, Copy, Default)]
pub struct Errors;

without_request!(Errors, [Res, Err], Res, Err, [Err: 'static]);

impl<Res, Err: 'static> WhenCall<Res, Err> for Errors {
    fn cause(self, result: Result<&Res, &Err>) -> Option<Cause> {
        let err = result.err()?;
        Some(refusal::find(err).map_or(Cause::Error, Cause::from))
    }
}

/// On the refusal of a guard further in, or of tower's load shed, as [`AnyError`](crate::classify::AnyError) knows them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Refusals;

without_request!(Refusals, [Res, Err], Res, Err, [Err: 'static]);

impl<Res, Err: 'static> WhenCall<Res, Err> for Refusals {
    fn cause(self, result: Result<&Res, &Err>) -> Option<Cause> {
        result.err().and_then(refusal::find).map(Cause::from)
    }
}

/// On the refusal of the typed guard directly inside, whatever the error that it wraps.
#[derive(Debug, Clone, Copy, Default)]
pub struct TypedRefusals;

without_request!(TypedRefusals, [Res, E], Res, Error<E>, []);

impl<Res, E> WhenCall<Res, Error<E>> for TypedRefusals {
    fn cause(self, result: Result<&Res, &Error<E>>) -> Option<Cause> {
        let refused = result.err()?.refused()?;
        Some(Cause::Refused(refused.reason()))
    }
}

/// When a classifier says failure, and on refusals in errors, which classifiers ignore.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdicts<C>(pub(super) C);

impl<C, Req, Res, Err> When<Req, Res, Err> for Verdicts<C>
where
    C: Classify<Req, Res, Err>,
    Err: 'static,
{
    type Call = Verdicts<C::Call>;

    fn begin(&self, request: &Req) -> Self::Call {
        Verdicts(self.0.begin(request))
    }
}

impl<K, Res, Err> WhenCall<Res, Err> for Verdicts<K>
where
    K: ClassifyCall<Res, Err>,
    Err: 'static,
{
    fn cause(self, result: Result<&Res, &Err>) -> Option<Cause> {
        if let Some(refusal) = result.err().and_then(refusal::find) {
            return Some(Cause::from(refusal));
        }
        (self.0.verdict(result) == Verdict::Failure).then(|| Cause::of(result))
    }
}

/// When a function says so.
#[derive(Debug, Clone, Copy, Default)]
pub struct Predicate<F>(pub(super) F);

impl<F, Req, Res, Err> When<Req, Res, Err> for Predicate<F>
where
    F: Fn(Result<&Res, &Err>) -> bool + Clone,
{
    type Call = Self;

    fn begin(&self, _: &Req) -> Self {
        self.clone()
    }
}

impl<F, Res, Err> WhenCall<Res, Err> for Predicate<F>
where
    F: Fn(Result<&Res, &Err>) -> bool,
{
    fn cause(self, result: Result<&Res, &Err>) -> Option<Cause> {
        (self.0)(result).then(|| Cause::of(result))
    }
}

#[cfg(feature = "http")]
pub use self::responses::{FailedResponses, RefusedResponses};

#[cfg(feature = "http")]
mod responses {
    use http::Response;

    use super::{Cause, Errors, Refusals, When, WhenCall};
    use crate::{Refused, classify::HttpStatus};

    /// On a refusal, whether it is an error or has been made a response by the guard (`.respond()`).
    #[derive(Debug, Clone, Copy, Default)]
    pub struct RefusedResponses;

    without_request!(RefusedResponses, [B, Err], Response<B>, Err, [Err: 'static]);

    impl<B, Err: 'static> WhenCall<Response<B>, Err> for RefusedResponses {
        fn cause(self, result: Result<&Response<B>, &Err>) -> Option<Cause> {
            match result {
                Ok(response) => refusal_in(response),
                Err(_) => Refusals.cause(result),
            }
        }
    }

    /// On a refusal, on an error, and on a status that [`HttpStatus`] calls a failure.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct FailedResponses;

    without_request!(FailedResponses, [B, Err], Response<B>, Err, [Err: 'static]);

    impl<B, Err: 'static> WhenCall<Response<B>, Err> for FailedResponses {
        fn cause(self, result: Result<&Response<B>, &Err>) -> Option<Cause> {
            match result {
                Ok(response) => refusal_in(response).or_else(|| {
                    HttpStatus::is_failure(response.status()).then_some(Cause::BadAnswer)
                }),
                Err(_) => Errors.cause(result),
            }
        }
    }

    fn refusal_in<B>(response: &Response<B>) -> Option<Cause> {
        let refused = response.extensions().get::<Refused>()?;
        Some(Cause::Refused(refused.reason()))
    }
}
