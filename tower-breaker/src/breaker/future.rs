//! The future of a guarded call.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::{permit::Admission, shared::Outcome};
use crate::{Refused, classify::ClassifyCall, mode::ErrorMode};

pin_project! {
    /// The future of a [`CircuitBreakerService`](super::CircuitBreakerService).
    ///
    /// Dropped before it is done, the call was abandoned. If the inner future panics, the call failed, and the panic goes on.
    #[derive(Debug)]
    pub struct CircuitBreakerFuture<F, K, M> {
        #[pin]
        state: State<F, K>,
        mode: M,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProj]
    enum State<F, K> {
        Running { #[pin] inner: F, admission: Admission, judge: Option<K> },
        Refused { refused: Option<Refused> },
    }
}

impl<F, K, M> CircuitBreakerFuture<F, K, M> {
    pub(crate) fn running(inner: F, admission: Admission, judge: K, mode: M) -> Self {
        Self {
            state: State::Running {
                inner,
                admission,
                judge: Some(judge),
            },
            mode,
        }
    }

    pub(crate) fn refused(refused: Refused, mode: M) -> Self {
        Self {
            state: State::Refused {
                refused: Some(refused),
            },
            mode,
        }
    }
}

impl<F, K, M, Res, Err> Future for CircuitBreakerFuture<F, K, M>
where
    F: Future<Output = Result<Res, Err>>,
    K: ClassifyCall<Res, Err>,
    M: ErrorMode<Res, Err>,
{
    type Output = Result<Res, M::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProj::Running {
                inner,
                admission,
                judge,
            } => {
                let result = ready!(admission.watch(|| inner.poll(cx)));
                if let Some(judge) = judge.take() {
                    let hint = if admission.wants_retry_after() {
                        judge.retry_after(result.as_ref())
                    } else {
                        None
                    };
                    let outcome = Outcome::from(judge.verdict(result.as_ref()));
                    admission.settle_hinted(outcome, hint);
                }
                Poll::Ready(result.map_err(|err| this.mode.inner(err)))
            }
            StateProj::Refused { refused } => match refused.take() {
                Some(refused) => Poll::Ready(this.mode.refused(refused)),
                // Polled again after it was done, which nobody may do: there is nothing left to say.
                None => Poll::Pending,
            },
        }
    }
}
