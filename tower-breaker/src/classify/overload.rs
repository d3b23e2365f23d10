use std::{any::Any, convert::Infallible, error::Error as StdError, io, iter};

use tower::{load_shed::error::Overloaded, timeout::error::Elapsed};

use super::{Classify, ClassifyCall, Verdict};
use crate::{BoxError, Error, Reason, Refused};

/// What an adaptive bulkhead wants to know: whether the service behind it has too much to do. For
/// [`BulkheadLayer::classify`](crate::BulkheadLayer::classify).
///
/// | result | verdict | because |
/// |---|---|---|
/// | a response | success | how long it took counts |
/// | tower's or tokio's time-out, [`io::ErrorKind::TimedOut`] | failure | the service was too slow |
/// | tower's load shed; a [`Refused`] of a bulkhead further in | failure | a limiter in front of the service says that it is too much |
/// | a `Refused` of a circuit further in | ignore | the service was not asked |
/// | any other error | ignore | it has a reason of its own, and how long it took says nothing |
///
/// It knows these errors as themselves, anywhere in the chain of a [`BoxError`], and in the [`Error`] of a typed guard around a
/// boxed or an infallible error. Over a typed guard with an error of its own, use [`TypedGuard`](super::TypedGuard)`(Overload)`,
/// which ignores that guard's refusals.
///
/// With the `http` feature, `HttpOverload` looks at the status too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overload;

impl<Req, Res, Err: 'static> Classify<Req, Res, Err> for Overload {
    type Call = Self;

    fn begin(&self, _: &Req) -> Self {
        *self
    }
}

impl<Res, Err: 'static> ClassifyCall<Res, Err> for Overload {
    #[inline]
    fn verdict(self, result: Result<&Res, &Err>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(err) => of_error(err),
        }
    }
}

pub(super) fn of_refusal(refused: &Refused) -> Verdict {
    match refused.reason() {
        Reason::BulkheadFull | Reason::QueueFull | Reason::WaitedTooLong | Reason::Displaced => {
            Verdict::Failure
        }
        Reason::CircuitOpen
        | Reason::HalfOpenFull
        | Reason::ForcedOpen
        | Reason::Ramping
        | Reason::Throttled => Verdict::Ignore,
    }
}

// The first in the chain that is known decides.
fn in_chain(err: &(dyn StdError + 'static)) -> Verdict {
    iter::successors(Some(err), |&err| next(err))
        .find_map(of_one)
        .unwrap_or(Verdict::Ignore)
}

// An `io::Error` around another error is skipped by its own `source`, which gives that of the other.
fn next<'a>(err: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let inner = err.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match inner {
        Some(inner) => Some(inner),
        None => err.source(),
    }
}

fn of_one(err: &(dyn StdError + 'static)) -> Option<Verdict> {
    if let Some(refused) = err.downcast_ref::<Refused>() {
        return Some(of_refusal(refused));
    }
    let timed_out = |err: &io::Error| err.kind() == io::ErrorKind::TimedOut;
    let overload = err.is::<Elapsed>()
        || err.is::<Overloaded>()
        || err.is::<tokio::time::error::Elapsed>()
        || err.downcast_ref::<io::Error>().is_some_and(timed_out);
    overload.then_some(Verdict::Failure)
}

// All that is known of the type is that it is `'static`: `BoxError` does not implement `Error`, so no bound could cover both.
fn of_error<E: 'static>(err: &E) -> Verdict {
    fn known<E: StdError + 'static>(err: &dyn Any) -> Option<Verdict> {
        err.downcast_ref::<E>().map(|err| in_chain(err))
    }
    fn boxed(err: &BoxError) -> Verdict {
        in_chain(&**err)
    }

    let err: &dyn Any = err;
    let guarded = || {
        Some(match err.downcast_ref::<Error<BoxError>>()? {
            Error::Refused(refused) => of_refusal(refused),
            Error::Inner(err) => boxed(err),
        })
    };
    err.downcast_ref::<BoxError>()
        .map(boxed)
        .or_else(guarded)
        .or_else(|| known::<Error<Infallible>>(err))
        .or_else(|| known::<Refused>(err))
        .or_else(|| known::<Elapsed>(err))
        .or_else(|| known::<Overloaded>(err))
        .or_else(|| known::<tokio::time::error::Elapsed>(err))
        .or_else(|| known::<io::Error>(err))
        .unwrap_or(Verdict::Ignore)
}

#[cfg(feature = "http")]
pub use self::http::{HttpOverload, OverloadEnd};

#[cfg(feature = "http")]
mod http {
    use ::http::{HeaderMap, Response, StatusCode};
    use http_body::Body;

    use super::{Overload, of_error, of_refusal};
    use crate::{
        Refused,
        classify::{Classify, ClassifyBody, ClassifyCall, ClassifyEnd, Head, Verdict},
    };

    /// As [`Overload`], and looks at the status of an HTTP response:
    ///
    /// | status | verdict | because |
    /// |---|---|---|
    /// | 429, 503, 504 | failure | the server says that it has too much to do, or that something behind it was too slow |
    /// | any other 5xx | ignore | it failed, and how long that took says nothing |
    /// | anything else | success | how long it took counts |
    ///
    /// A response that a guard further in made of its refusal is judged as that refusal.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct HttpOverload;

    impl<Req, B, Err: 'static> Classify<Req, Response<B>, Err> for HttpOverload {
        type Call = Self;

        fn begin(&self, _: &Req) -> Self {
            *self
        }
    }

    impl<B, Err: 'static> ClassifyCall<Response<B>, Err> for HttpOverload {
        fn verdict(self, result: Result<&Response<B>, &Err>) -> Verdict {
            match result {
                Ok(response) => of_response(response),
                Err(err) => of_error(err),
            }
        }
    }

    fn of_response<B>(response: &Response<B>) -> Verdict {
        if let Some(refused) = response.extensions().get::<Refused>() {
            return of_refusal(refused);
        }
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Verdict::Failure,
            status if status.is_server_error() => Verdict::Ignore,
            _ => Verdict::Success,
        }
    }

    /// Judges the end of a body, for [`Overload`] and [`HttpOverload`]: a time-out is a failure, any other error says nothing.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct OverloadEnd;

    impl<E: 'static> ClassifyEnd<E> for OverloadEnd {
        fn end(self, end: Result<Option<&HeaderMap>, &E>) -> Verdict {
            match end {
                Ok(_) => Verdict::Success,
                Err(err) => of_error(err),
            }
        }

        fn reads_trailers(&self) -> bool {
            false
        }
    }

    impl<B, Err: 'static> ClassifyBody<B, Err> for Overload
    where
        B: Body,
        B::Error: 'static,
    {
        type End = OverloadEnd;

        fn head(self, _: &Response<B>) -> Head<OverloadEnd> {
            Head::AtEnd(OverloadEnd)
        }
    }

    impl<B, Err: 'static> ClassifyBody<B, Err> for HttpOverload
    where
        B: Body,
        B::Error: 'static,
    {
        type End = OverloadEnd;

        fn head(self, response: &Response<B>) -> Head<OverloadEnd> {
            match of_response(response) {
                Verdict::Success => Head::AtEnd(OverloadEnd),
                verdict => Head::Known(verdict),
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::{BoxError, Reason};

        fn head(status: u16, refused: Option<Reason>) -> Verdict {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            if let Some(reason) = refused {
                let refused = Refused::sample("inner", reason, None);
                response.extensions_mut().insert(refused);
            }
            ClassifyCall::<_, BoxError>::verdict(HttpOverload, Ok(&response))
        }

        #[test]
        fn the_end_of_a_body_is_its_end_without_trailers() {
            assert!(!ClassifyEnd::<BoxError>::reads_trailers(&OverloadEnd));
            let end = |end| ClassifyEnd::<BoxError>::end(OverloadEnd, end);
            assert_eq!(end(Ok(None)), Verdict::Success);
            assert_eq!(end(Err(&"reset".into())), Verdict::Ignore);
        }

        #[test]
        fn a_status_is_a_drop_only_if_it_says_that_there_is_too_much_to_do() {
            for status in [200, 304, 404, 422, 499] {
                assert_eq!(head(status, None), Verdict::Success, "{status}");
            }
            for status in [500, 501, 502, 507] {
                assert_eq!(head(status, None), Verdict::Ignore, "{status}");
            }
            for status in [429, 503, 504] {
                assert_eq!(head(status, None), Verdict::Failure, "{status}");
            }
            assert_eq!(head(503, Some(Reason::CircuitOpen)), Verdict::Ignore);
            assert_eq!(head(503, Some(Reason::QueueFull)), Verdict::Failure);
        }

        #[test]
        fn only_a_time_out_of_the_body_is_a_drop() {
            let timed_out = std::io::Error::from(std::io::ErrorKind::TimedOut);
            let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            assert_eq!(OverloadEnd.end(Err(&timed_out)), Verdict::Failure);
            assert_eq!(OverloadEnd.end(Err(&reset)), Verdict::Ignore);
            assert_eq!(
                ClassifyEnd::<std::io::Error>::end(OverloadEnd, Ok(None)),
                Verdict::Success
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge<E: 'static>(err: E) -> Verdict {
        Overload.verdict(Err::<&(), _>(&err))
    }

    fn refused(reason: Reason) -> Refused {
        Refused::sample("inner", reason, None)
    }

    #[test]
    fn overload_is_known_in_every_form_that_tower_and_the_guards_give_it() {
        let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
        assert_eq!(judge(BoxError::from(Elapsed::new())), Verdict::Failure);
        assert_eq!(judge(Elapsed::new()), Verdict::Failure);
        assert_eq!(judge(BoxError::from(Overloaded::new())), Verdict::Failure);
        assert_eq!(judge(Overloaded::new()), Verdict::Failure);
        assert_eq!(judge(timed_out()), Verdict::Failure);
        assert_eq!(
            judge(BoxError::from(io::Error::other(timed_out()))),
            Verdict::Failure
        );
        assert_eq!(judge(refused(Reason::BulkheadFull)), Verdict::Failure);
        assert_eq!(
            judge(BoxError::from(refused(Reason::WaitedTooLong))),
            Verdict::Failure
        );
        let typed = Error::<Infallible>::Refused(refused(Reason::QueueFull));
        assert_eq!(judge(typed), Verdict::Failure);
        let typed = Error::<BoxError>::Inner(Elapsed::new().into());
        assert_eq!(judge(typed), Verdict::Failure);
    }

    #[test]
    fn what_the_service_was_not_asked_for_and_what_failed_for_another_reason_says_nothing() {
        assert_eq!(judge(refused(Reason::CircuitOpen)), Verdict::Ignore);
        assert_eq!(
            judge(BoxError::from(refused(Reason::Ramping))),
            Verdict::Ignore
        );
        let typed = Error::<BoxError>::Refused(refused(Reason::HalfOpenFull));
        assert_eq!(judge(typed), Verdict::Ignore);
        assert_eq!(judge(BoxError::from("no such item")), Verdict::Ignore);
        assert_eq!(
            judge(io::Error::from(io::ErrorKind::ConnectionReset)),
            Verdict::Ignore
        );
        assert_eq!(judge("not even an error"), Verdict::Ignore);
        assert_eq!(Overload.verdict(Ok::<_, &BoxError>(&())), Verdict::Success);
    }
}
