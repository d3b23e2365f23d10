//! The future of a call that is judged at the end of its response's body.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    JudgedBody, StallLimit,
    body::Call,
    settle::{hint, settle},
};
use crate::{
    Refused,
    breaker::permit::Admission,
    classify::{ClassifyBody, Head},
    http::body::{Asked, left_of},
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
        Running { #[pin] inner: F, call: Option<(Admission, K)>, asked: Asked },
        Refused { refused: Option<Refused> },
    }
}

impl<F, K, M, L> EndOfBodyFuture<F, K, M, L> {
    pub(crate) fn running(
        inner: F,
        admission: Admission,
        judge: K,
        asked: Asked,
        mode: M,
        limit: L,
    ) -> Self {
        let call = Some((admission, judge));
        Self {
            state: State::Running { inner, call, asked },
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

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProj::Running { inner, call, asked } => {
                // Polled again after it was done, which nobody may do: there is nothing left to say.
                let Some((admission, _)) = call else {
                    return Poll::Pending;
                };
                let watched = admission.watched();
                let polled = inner.poll(cx);
                watched.did_not_panic();
                // Judged where it is, and then moved once: a response is wide.
                let (mut at_end, mut left) = (None, 0);
                match &polled {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(result) => {
                        let Some((admission, judge)) = call.take() else {
                            return Poll::Pending;
                        };
                        match result {
                            Ok(response) => {
                                at_end = judge_head(response, admission, judge);
                                left = left_of(response, *asked, &mut at_end);
                                if let Some(call) = &mut at_end {
                                    call.begin_own_time();
                                }
                            }
                            Err(err) => judge_error(err, admission, judge),
                        }
                    }
                }
                polled.map(|result| match result {
                    Ok(response) => {
                        Ok(response.map(|body| JudgedBody::new(body, at_end, left, *this.limit)))
                    }
                    Err(err) => Err(this.mode.inner(err)),
                })
            }
            StateProj::Refused { refused } => match refused.take() {
                Some(refused) => Poll::Ready(this.mode.refused(refused)),
                None => Poll::Pending,
            },
        }
    }
}

// Gives the call back if it is to be judged by the end of its body.
#[inline]
fn judge_head<B, Err, K>(
    response: &Response<B>,
    mut admission: Admission,
    judge: K,
) -> Option<Call<K::End>>
where
    B: Body,
    K: ClassifyBody<B, Err>,
{
    let wait = hint(&admission, || judge.retry_after(Ok(response)));
    match judge.head(response) {
        Head::Known(verdict) => {
            settle(&mut admission, verdict, wait);
            None
        }
        Head::AtEnd(judge) => Some(Call::new(admission, judge)),
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
