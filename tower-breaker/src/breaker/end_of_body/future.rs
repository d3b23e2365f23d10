//! The future of a call that is judged at the end of its response's body.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Response, StatusCode, header::CONTENT_LENGTH};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    JudgedBody, StallLimit,
    settle::{hint, settle},
};
use crate::{
    Refused,
    breaker::permit::Admission,
    classify::{ClassifyBody, Head},
    mode::ErrorMode,
};

pin_project! {
    /// The future of an [`EndOfBodyService`](super::EndOfBodyService).
    ///
    /// Dropped before it is done, the call was abandoned. If the inner future panics, the call failed, and the panic goes on. Once it has given a
    /// response, the response's body answers for the call.
    #[derive(Debug)]
    pub struct EndOfBodyFuture<F, K, M, L> {
        #[pin]
        state: State<F, K>,
        mode: M,
        limit: L,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProj]
    enum State<F, K> {
        Running { #[pin] inner: F, call: Option<(Admission, K)>, wants_body: bool },
        Refused { refused: Option<Refused> },
    }
}

impl<F, K, M, L> EndOfBodyFuture<F, K, M, L> {
    pub(crate) fn running(
        inner: F,
        admission: Admission,
        judge: K,
        wants_body: bool,
        mode: M,
        limit: L,
    ) -> Self {
        let call = Some((admission, judge));
        Self {
            state: State::Running {
                inner,
                call,
                wants_body,
            },
            mode,
            limit,
        }
    }

    pub(crate) fn refused(refused: Refused, mode: M, limit: L) -> Self {
        let refused = Some(refused);
        Self {
            state: State::Refused { refused },
            mode,
            limit,
        }
    }
}

impl<F, K, M, L, B, Err> Future for EndOfBodyFuture<F, K, M, L>
where
    F: Future<Output = Result<Response<B>, Err>>,
    B: Body,
    K: ClassifyBody<B, Err>,
    L: StallLimit,
    M: ErrorMode<Response<JudgedBody<B, K::End, L>>, Err>,
{
    type Output = Result<Response<JudgedBody<B, K::End, L>>, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProj::Running {
                inner,
                call,
                wants_body,
            } => {
                // Polled again after it was done, which nobody may do: there is nothing left to say.
                let Some((admission, _)) = call else {
                    return Poll::Pending;
                };
                let result = ready!(admission.watch(|| inner.poll(cx)));
                let Some((admission, judge)) = call.take() else {
                    return Poll::Pending;
                };
                Poll::Ready(match result {
                    Ok(response) => {
                        let length = Length::of(&response, *wants_body);
                        Ok(judge_head(response, admission, judge, length, *this.limit))
                    }
                    Err(err) => {
                        judge_error(&err, admission, judge);
                        Err(this.mode.inner(err))
                    }
                })
            }
            StateProj::Refused { refused } => match refused.take() {
                Some(refused) => Poll::Ready(this.mode.refused(refused)),
                None => Poll::Pending,
            },
        }
    }
}

fn judge_head<B, Err, K, L>(
    response: Response<B>,
    mut admission: Admission,
    judge: K,
    length: Length,
    limit: L,
) -> Response<JudgedBody<B, K::End, L>>
where
    B: Body,
    K: ClassifyBody<B, Err>,
    L: StallLimit,
{
    let wait = hint(&admission, || judge.retry_after(Ok(&response)));
    match judge.head(&response) {
        Head::Known(verdict) => {
            settle(&mut admission, verdict, wait);
            response.map(|body| JudgedBody::settled(body, limit))
        }
        Head::AtEnd(judge) => {
            response.map(|body| JudgedBody::judged(body, admission, judge, length, limit))
        }
    }
}

/// How much of a response's body will be sent, as its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// Nothing, whatever it holds: nobody will read it.
    NoBody,
    Announced(u64),
    Unknown,
}

impl Length {
    fn of<B>(response: &Response<B>, wants_body: bool) -> Self {
        let status = response.status();
        if !wants_body
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        {
            return Self::NoBody;
        }
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        length.map_or(Self::Unknown, Self::Announced)
    }
}

fn judge_error<B, Err, K>(err: &Err, mut admission: Admission, judge: K)
where
    B: Body,
    K: ClassifyBody<B, Err>,
{
    let wait = hint(&admission, || judge.retry_after(Err(err)));
    settle(&mut admission, judge.verdict(Err(err)), wait);
}
