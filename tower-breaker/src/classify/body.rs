//! Verdicts that wait for the end of a response's body.

use std::time::Duration;

use http::{HeaderMap, Response};
use http_body::Body;

use super::{AnyError, Classify, ClassifyCall, ErrorChain, EveryError, Verdict};

/// Judges the one call that it was made for in two steps, for
/// [`until_end_of_body`](crate::CircuitBreakerLayer::until_end_of_body): first the head of the response, then the end of its body.
///
/// A call that ends with an error has no head; it is judged by [`ClassifyCall::verdict`]. That method also judges responses, for a layer that does
/// not wait for the body.
pub trait ClassifyBody<B: Body, Err>: ClassifyCall<Response<B>, Err> {
    /// Judges the end of the body.
    type End: ClassifyEnd<B::Error>;

    /// What the head says. Its body has not been read.
    fn head(self, response: &Response<B>) -> Head<Self::End>;
}

/// What the head of a response says about the service behind the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Head<K> {
    /// This, whatever becomes of the body. It is recorded at once.
    Known(Verdict),
    /// That is seen at the end of the body.
    AtEnd(K),
}

/// Judges how the body of one response ended.
///
/// It is asked once at most: not if the reader drops the body before its end (the call was abandoned), not if the body panics or is given up as
/// stalled (failures).
pub trait ClassifyEnd<E> {
    /// What the end says: the trailers, if there were any, or the error that the body failed with. A body that is shorter than its
    /// `Content-Length` fails, with the HTTP library's error.
    fn end(self, end: Result<Option<&HeaderMap>, &E>) -> Verdict;

    /// Whether trailers may matter. If not, a body is at its end as soon as all has come that the `Content-Length` of its response
    /// announced: whoever writes it to HTTP/1 need not ask for more. The default is `true`.
    fn reads_trailers(&self) -> bool {
        true
    }

    /// How long the service behind the guard asks to be left alone, if the body's end is a failure and says so. As
    /// [`ClassifyCall::retry_after`].
    fn retry_after(&self, end: Result<Option<&HeaderMap>, &E>) -> Option<Duration> {
        let _ = end;
        None
    }
}

/// A body that fails is a failure, one that comes to its end is a success. All that is left to judge after a head that looked well.
#[derive(Debug, Clone, Copy, Default)]
pub struct BodyErrors;

impl BodyErrors {
    /// A success is one only once the whole body has come; any other verdict is known by now.
    pub fn unless(head: Verdict) -> Head<Self> {
        match head {
            Verdict::Success => Head::AtEnd(Self),
            Verdict::Failure | Verdict::Ignore => Head::Known(head),
        }
    }
}

impl<E> ClassifyEnd<E> for BodyErrors {
    fn end(self, end: Result<Option<&HeaderMap>, &E>) -> Verdict {
        match end {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Failure,
        }
    }

    fn reads_trailers(&self) -> bool {
        false
    }
}

impl<B: Body, Err: 'static> ClassifyBody<B, Err> for AnyError {
    type End = BodyErrors;

    fn head(self, _: &Response<B>) -> Head<BodyErrors> {
        Head::AtEnd(BodyErrors)
    }
}

impl<B: Body, Err: std::error::Error + 'static> ClassifyBody<B, Err> for ErrorChain {
    type End = BodyErrors;

    fn head(self, _: &Response<B>) -> Head<BodyErrors> {
        Head::AtEnd(BodyErrors)
    }
}

impl<B: Body, Err> ClassifyBody<B, Err> for EveryError {
    type End = BodyErrors;

    fn head(self, _: &Response<B>) -> Head<BodyErrors> {
        Head::AtEnd(BodyErrors)
    }
}

impl<F, B, Err> ClassifyBody<B, Err> for F
where
    B: Body,
    F: Fn(Result<&Response<B>, &Err>) -> Verdict,
{
    type End = BodyErrors;

    fn head(self, response: &Response<B>) -> Head<BodyErrors> {
        BodyErrors::unless(self(Ok(response)))
    }
}

/// Lets a classifier that knows only heads wait for the body: what it calls a success must also bring its whole body ([`BodyErrors`]).
///
/// Closures and the ready-made classifiers do that by themselves; this is for a [`Classify`] of your own that is no [`ClassifyBody`].
#[derive(Debug, Clone, Copy, Default)]
pub struct WithBody<C>(
    /// Judges heads and errors.
    pub C,
);

impl<C, Req, Res, Err> Classify<Req, Res, Err> for WithBody<C>
where
    C: Classify<Req, Res, Err>,
{
    type Call = WithBody<C::Call>;

    fn begin(&self, request: &Req) -> Self::Call {
        WithBody(self.0.begin(request))
    }
}

impl<K, Res, Err> ClassifyCall<Res, Err> for WithBody<K>
where
    K: ClassifyCall<Res, Err>,
{
    fn verdict(self, result: Result<&Res, &Err>) -> Verdict {
        self.0.verdict(result)
    }

    fn retry_after(&self, result: Result<&Res, &Err>) -> Option<Duration> {
        self.0.retry_after(result)
    }

    fn forbids_retry(&self, result: Result<&Res, &Err>) -> bool {
        self.0.forbids_retry(result)
    }
}

impl<K, B, Err> ClassifyBody<B, Err> for WithBody<K>
where
    B: Body,
    K: ClassifyCall<Response<B>, Err>,
{
    type End = BodyErrors;

    fn head(self, response: &Response<B>) -> Head<BodyErrors> {
        BodyErrors::unless(self.0.verdict(Ok(response)))
    }
}
