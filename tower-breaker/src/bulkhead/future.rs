use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    Acquire, BulkheadPermit, Outcome,
    permit::{ReleasedOnPanic, release_on_panic},
};
use crate::{
    Refused,
    classify::{ClassifyCall, EveryError},
    mode::ErrorMode,
};

/// What is made of the end of a call: of its answer, and of the permit. Of this crate only.
// In two steps, because an answer may be wide: looked at where it is, it is moved only once.
pub trait Ending<M, Res, Err> {
    type Output;

    /// There is an answer, or the inner service failed to become ready. The inner call has let go of all it held. `outcome` is what the
    /// answer says of the load, if the permit listens.
    fn ended(
        &mut self,
        result: &mut Result<Res, Err>,
        permit: Option<BulkheadPermit>,
        outcome: Outcome,
    );

    /// What the caller gets for that answer.
    fn answer(self, result: Result<Res, Err>, mode: &M) -> Self::Output;

    /// What the caller gets for a refusal.
    fn refused(self, refused: Refused, mode: &M) -> Self::Output;
}

/// The permit goes when the answer has come.
struct AtAnswer;

impl<M: ErrorMode<Res, Err>, Res, Err> Ending<M, Res, Err> for AtAnswer {
    type Output = Result<Res, M::Error>;

    #[inline(always)]
    fn ended(
        &mut self,
        _: &mut Result<Res, Err>,
        permit: Option<BulkheadPermit>,
        outcome: Outcome,
    ) {
        if let Some(permit) = permit {
            permit.finish(outcome);
        }
    }

    #[inline(always)]
    fn answer(self, result: Result<Res, Err>, mode: &M) -> Self::Output {
        result.map_err(|err| mode.inner(err))
    }

    #[inline]
    fn refused(self, refused: Refused, mode: &M) -> Self::Output {
        mode.refused(refused)
    }
}

/// A call whose end may be something else than its future's. Of this crate only.
pub trait Guarded {
    type Mode;
    type Response;
    type Error;

    fn poll_to<E>(self: Pin<&mut Self>, cx: &mut Context<'_>, ending: E) -> Poll<E::Output>
    where
        E: Ending<Self::Mode, Self::Response, Self::Error>;
}

pin_project! {
    /// A call behind a bulkhead that refuses when it is full. Gives its permit back when it has finished, panics or is dropped.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, M, K = EveryError> {
        #[pin]
        state: State<F, K>,
        mode: M,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, K> {
        // The order matters: the inner call lets go of all it holds before the permit admits another.
        // `None` once the inner call has panicked: the permit does not wait for whoever keeps the future then.
        Running { #[pin] call: F, judge: Option<K>, permit: Option<BulkheadPermit> },
        Refused { refused: Option<Refused> },
        Done,
    }
}

impl<F, M, K> ResponseFuture<F, M, K> {
    #[inline(always)]
    pub(crate) fn running(call: F, permit: BulkheadPermit, judge: K, mode: M) -> Self {
        Self {
            state: State::Running {
                call,
                judge: Some(judge),
                permit: Some(permit),
            },
            mode,
        }
    }

    #[inline]
    pub(crate) fn refused(refused: Refused, mode: M) -> Self {
        Self {
            state: State::Refused {
                refused: Some(refused),
            },
            mode,
        }
    }
}

impl<F, M, K, Res, Err> Future for ResponseFuture<F, M, K>
where
    F: Future<Output = Result<Res, Err>>,
    M: ErrorMode<Res, Err>,
    K: ClassifyCall<Res, Err>,
{
    type Output = Result<Res, M::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_to(cx, AtAnswer)
    }
}

impl<F, M, K, Res, Err> Guarded for ResponseFuture<F, M, K>
where
    F: Future<Output = Result<Res, Err>>,
    K: ClassifyCall<Res, Err>,
{
    type Mode = M;
    type Response = Res;
    type Error = Err;

    #[inline(always)]
    fn poll_to<E>(self: Pin<&mut Self>, cx: &mut Context<'_>, mut ending: E) -> Poll<E::Output>
    where
        E: Ending<M, Res, Err>,
    {
        let mut this = self.project();
        match this.state.as_mut().project() {
            StateProj::Running { permit: None, .. } => polled_after_completion(),
            StateProj::Running {
                call,
                judge,
                permit,
            } => {
                // A fixed limit does not ask how calls went, and does not pay for it.
                let listens = permit.as_ref().is_some_and(BulkheadPermit::listens);
                let mut outcome = Outcome::Ignore;
                let released = ReleasedOnPanic(permit);
                let mut polled = call.poll(cx);
                if let (true, Poll::Ready(result)) = (listens, &polled) {
                    if let Some(judge) = judge.take() {
                        outcome = judge.verdict(result.as_ref()).into();
                    }
                }
                released.did_not_panic();
                if let Poll::Ready(result) = &mut polled {
                    let permit = permit.take();
                    this.state.set(State::Done);
                    ending.ended(result, permit, outcome);
                }
                polled.map(|result| ending.answer(result, this.mode))
            }
            StateProj::Refused { refused } => match refused.take() {
                Some(refused) => Poll::Ready(ending.refused(refused, this.mode)),
                None => polled_after_completion(),
            },
            StateProj::Done => polled_after_completion(),
        }
    }
}

impl<F, M, K> fmt::Debug for ResponseFuture<F, M, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Running { .. } => "running",
            State::Refused { .. } => "refused",
            State::Done => "done",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// A call behind a bulkhead with a queue. Waits for its permit if it must, then makes its clone of the inner service
    /// ready and calls it. Dropping it leaves the queue, or gives the permit back; so does a panic of the inner service.
    #[must_use = "futures do nothing unless polled"]
    pub struct WaitingFuture<S, Req, M, K = EveryError>
    where
        S: Service<Req>,
    {
        #[pin]
        stage: Stage<S, Req, M, K>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<S, Req, M, K>
    where
        S: Service<Req>,
    {
        Waiting { #[pin] permit: Acquire, parts: Option<Parts<S, Req, M, K>> },
        Readying { parts: Option<Parts<S, Req, M, K>>, permit: Option<BulkheadPermit> },
        Calling { #[pin] call: ResponseFuture<S::Future, M, K> },
    }
}

// What it takes to make the call once it may be made.
struct Parts<S, Req, M, K> {
    service: S,
    request: Req,
    judge: K,
    mode: M,
}

impl<S: Service<Req>, Req, M, K> WaitingFuture<S, Req, M, K> {
    #[inline]
    pub(crate) fn calling(call: ResponseFuture<S::Future, M, K>) -> Self {
        Self {
            stage: Stage::Calling { call },
        }
    }

    pub(crate) fn waiting(permit: Acquire, service: S, request: Req, judge: K, mode: M) -> Self {
        Self {
            stage: Stage::Waiting {
                permit,
                parts: Some(Parts {
                    service,
                    request,
                    judge,
                    mode,
                }),
            },
        }
    }
}

impl<S, Req, M, K> Future for WaitingFuture<S, Req, M, K>
where
    S: Service<Req>,
    M: ErrorMode<S::Response, S::Error>,
    K: ClassifyCall<S::Response, S::Error>,
{
    type Output = Result<S::Response, M::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_to(cx, AtAnswer)
    }
}

impl<S, Req, M, K> Guarded for WaitingFuture<S, Req, M, K>
where
    S: Service<Req>,
    K: ClassifyCall<S::Response, S::Error>,
{
    type Mode = M;
    type Response = S::Response;
    type Error = S::Error;

    #[inline(always)]
    fn poll_to<E>(self: Pin<&mut Self>, cx: &mut Context<'_>, mut ending: E) -> Poll<E::Output>
    where
        E: Ending<M, S::Response, S::Error>,
    {
        let mut stage = self.project().stage;
        loop {
            let next = match stage.as_mut().project() {
                StageProj::Calling { call } => return call.poll_to(cx, ending),
                StageProj::Waiting { permit, parts } => {
                    let permit = ready!(permit.poll_permit(cx));
                    let Some(waited) = parts.take() else {
                        polled_after_completion()
                    };
                    match permit {
                        Ok(permit) => Stage::Readying {
                            parts: Some(waited),
                            permit: Some(permit),
                        },
                        Err(refused) => Stage::Calling {
                            call: ResponseFuture::refused(refused, waited.mode),
                        },
                    }
                }
                StageProj::Readying { parts, permit } => {
                    let (Some(readying), Some(_)) = (parts.as_mut(), permit.as_ref()) else {
                        polled_after_completion()
                    };
                    let readiness = ready!(release_on_panic(permit, || {
                        readying.service.poll_ready(cx)
                    }));
                    // The order matters: however this ends, the service lets go of all it holds before the permit does.
                    let (Some(permit), Some(mut admitted)) = (permit.take(), parts.take()) else {
                        polled_after_completion()
                    };
                    if let Err(err) = readiness {
                        drop(admitted.service);
                        let mut failed = Err(err);
                        ending.ended(&mut failed, Some(permit), Outcome::Ignore);
                        return Poll::Ready(ending.answer(failed, &admitted.mode));
                    }
                    let call = admitted.service.call(admitted.request);
                    Stage::Calling {
                        call: ResponseFuture::running(call, permit, admitted.judge, admitted.mode),
                    }
                }
            };
            stage.set(next);
        }
    }
}

impl<S: Service<Req>, Req, M, K> fmt::Debug for WaitingFuture<S, Req, M, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage: &dyn fmt::Debug = match &self.stage {
            Stage::Waiting { permit, .. } => permit,
            Stage::Readying { .. } => &"readying",
            Stage::Calling { call } => call,
        };
        f.debug_struct("WaitingFuture")
            .field("stage", stage)
            .finish_non_exhaustive()
    }
}

#[cold]
fn polled_after_completion() -> ! {
    panic!("a bulkhead's future was polled after it had given its answer, or after a panic")
}
