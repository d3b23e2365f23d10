use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{Acquire, BulkheadPermit, permit::release_on_panic};
use crate::{Refused, mode::ErrorMode};

pin_project! {
    /// A call behind a bulkhead that refuses when it is full. Gives its permit back when it has finished, panics or is dropped.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, M> {
        #[pin]
        state: State<F>,
        mode: M,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        // The order matters: the inner call lets go of all it holds before the permit admits another.
        // `None` once the inner call has panicked: the permit does not wait for whoever keeps the future then.
        Running { #[pin] call: F, permit: Option<BulkheadPermit> },
        Refused { refused: Option<Refused> },
        Done,
    }
}

impl<F, M> ResponseFuture<F, M> {
    #[inline]
    pub(crate) fn running(call: F, permit: BulkheadPermit, mode: M) -> Self {
        Self {
            state: State::Running {
                call,
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

impl<F, M, Res, Err> Future for ResponseFuture<F, M>
where
    F: Future<Output = Result<Res, Err>>,
    M: ErrorMode<Res, Err>,
{
    type Output = Result<Res, M::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        match this.state.as_mut().project() {
            StateProj::Running { permit: None, .. } => polled_after_completion(),
            StateProj::Running { call, permit } => {
                let mode = this.mode;
                let result = ready!(release_on_panic(permit, || {
                    call.poll(cx).map_err(|err| mode.inner(err))
                }));
                this.state.set(State::Done);
                Poll::Ready(result)
            }
            StateProj::Refused { refused } => match refused.take() {
                Some(refused) => Poll::Ready(this.mode.refused(refused)),
                None => polled_after_completion(),
            },
            StateProj::Done => polled_after_completion(),
        }
    }
}

impl<F, M> fmt::Debug for ResponseFuture<F, M> {
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
    pub struct WaitingFuture<S, Req, M>
    where
        S: Service<Req>,
    {
        #[pin]
        stage: Stage<S, Req, M>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<S, Req, M>
    where
        S: Service<Req>,
    {
        Waiting { #[pin] permit: Acquire, parts: Option<Parts<S, Req, M>> },
        Readying { parts: Option<Parts<S, Req, M>>, permit: Option<BulkheadPermit> },
        Calling { #[pin] call: ResponseFuture<S::Future, M> },
    }
}

// What it takes to make the call once it may be made.
struct Parts<S, Req, M> {
    service: S,
    request: Req,
    mode: M,
}

impl<S: Service<Req>, Req, M> WaitingFuture<S, Req, M> {
    #[inline]
    pub(crate) fn calling(call: ResponseFuture<S::Future, M>) -> Self {
        Self {
            stage: Stage::Calling { call },
        }
    }

    pub(crate) fn waiting(permit: Acquire, service: S, request: Req, mode: M) -> Self {
        Self {
            stage: Stage::Waiting {
                permit,
                parts: Some(Parts {
                    service,
                    request,
                    mode,
                }),
            },
        }
    }
}

impl<S, Req, M> Future for WaitingFuture<S, Req, M>
where
    S: Service<Req>,
    M: ErrorMode<S::Response, S::Error>,
{
    type Output = Result<S::Response, M::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        loop {
            let next = match stage.as_mut().project() {
                StageProj::Calling { call } => return call.poll(cx),
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
                        return Poll::Ready(Err(admitted.mode.inner(err)));
                    }
                    let call = admitted.service.call(admitted.request);
                    Stage::Calling {
                        call: ResponseFuture::running(call, permit, admitted.mode),
                    }
                }
            };
            stage.set(next);
        }
    }
}

impl<S: Service<Req>, Req, M> fmt::Debug for WaitingFuture<S, Req, M> {
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
