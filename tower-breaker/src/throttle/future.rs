use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::{permit::Admission, shared::Outcome};
use crate::{
    Refused,
    classify::{ClassifyCall, Verdict},
    mode::ErrorMode,
};

pin_project! {
    /// The future of a [`ThrottleService`](super::ThrottleService).
    ///
    /// Dropped before it is done, the call was given up. If the inner future panics, the call was not accepted, and the panic goes on.
    #[derive(Debug)]
    pub struct ThrottleFuture<F, K, M> {
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

impl<F, K, M> ThrottleFuture<F, K, M> {
    pub(super) fn running(inner: F, admission: Admission, judge: K, mode: M) -> Self {
        Self {
            state: State::Running {
                inner,
                admission,
                judge: Some(judge),
            },
            mode,
        }
    }

    pub(super) fn refused(refused: Refused, mode: M) -> Self {
        Self {
            state: State::Refused {
                refused: Some(refused),
            },
            mode,
        }
    }
}

impl<F, K, M, Res, Err> Future for ThrottleFuture<F, K, M>
where
    F: Future<Output = Result<Res, Err>>,
    K: ClassifyCall<Res, Err>,
    M: ErrorMode<Res, Err>,
{
    type Output = Result<Res, M::Error>;

    #[inline]
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
                    admission.settle(match judge.verdict(result.as_ref()) {
                        Verdict::Success => Outcome::Success,
                        Verdict::Failure => Outcome::Failure,
                        Verdict::Ignore => Outcome::Ignore,
                    });
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
