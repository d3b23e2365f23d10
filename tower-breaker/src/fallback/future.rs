use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::{
    Answer, Cause, Degraded, Happened, Instead, Mark, WhenCall,
    snapshot::{Count, Shared},
};
use crate::striped::Lane;

pin_project! {
    /// The future of a [`FallbackService`](super::FallbackService). Dropping it drops whichever is under way, the inner
    /// call or the fallback.
    #[must_use = "futures do nothing unless polled"]
    pub struct FallbackFuture<F, G, J, K, I, M> {
        #[pin]
        state: State<F, G>,
        // `None` once it has been asked whether to answer.
        plan: Option<Plan<J, K, I>>,
        mark: M,
        shared: Arc<Lane<Shared>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, G> {
        Calling { #[pin] call: F },
        Answering { #[pin] answer: G, cause: Cause },
        Done,
    }
}

/// When to answer, and what it takes to do so.
pub(super) struct Plan<J, K, I> {
    pub(super) judge: J,
    pub(super) kept: Option<K>,
    pub(super) instead: I,
}

impl<F, G, J, K, I, M> FallbackFuture<F, G, J, K, I, M> {
    #[inline]
    pub(super) fn new(call: F, plan: Plan<J, K, I>, mark: M, shared: Arc<Lane<Shared>>) -> Self {
        Self {
            state: State::Calling { call },
            plan: Some(plan),
            mark,
            shared,
        }
    }
}

impl<F, J, K, I, M, Res, Err> Future for FallbackFuture<F, I::Future, J, K, I, M>
where
    F: Future<Output = Result<Res, Err>>,
    J: WhenCall<Res, Err>,
    I: Instead<K, Res, Err>,
    M: Mark<Res>,
{
    type Output = Result<Res, Err>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Calling { call } => {
                    let outcome = ready!(call.poll(cx));
                    // The call lets go of all it holds, such as a permit, before the fallback takes anything.
                    this.state.set(State::Done);
                    let Some(plan) = this.plan.take() else {
                        return Poll::Ready(outcome);
                    };
                    let Some(cause) = plan.judge.cause(outcome.as_ref()) else {
                        return Poll::Ready(outcome);
                    };
                    let Some(kept) = plan.kept else {
                        this.shared.add(Count::NotKept);
                        return Poll::Ready(outcome);
                    };
                    let answer = plan.instead.instead(kept, Happened { cause, outcome });
                    this.state.set(State::Answering { answer, cause });
                }
                StateProj::Answering { answer, cause } => {
                    let (answer, cause) = (ready!(answer.poll(cx)), *cause);
                    this.state.set(State::Done);
                    return Poll::Ready(match answer {
                        Answer::Degraded(mut response) => {
                            this.shared.add(Count::Degraded);
                            let degraded = Degraded::new(&this.shared.name, cause);
                            this.mark.mark(&mut response, &degraded);
                            Ok(response)
                        }
                        Answer::Failed(outcome) => {
                            this.shared.add(Count::Failed);
                            outcome
                        }
                    });
                }
                // Polled again after it was done, which nobody may do: there is nothing left to say.
                StateProj::Done => return Poll::Pending,
            }
        }
    }
}

impl<F, G, J, K, I, M> fmt::Debug for FallbackFuture<F, G, J, K, I, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Calling { .. } => "calling",
            State::Answering { .. } => "answering",
            State::Done => "done",
        };
        f.debug_struct("FallbackFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
