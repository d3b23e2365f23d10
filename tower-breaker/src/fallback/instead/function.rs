use std::{
    future::{Ready, ready},
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{Answer, Instead, IntoAnswer};
use crate::fallback::Happened;

/// Answers with what a function makes of what happened.
#[derive(Debug, Clone, Copy)]
pub struct Function<F>(pub(in crate::fallback) F);

impl<F, A, Res, Err> Instead<(), Res, Err> for Function<F>
where
    F: Fn(Happened<Res, Err>) -> A,
    A: IntoAnswer<Res, Err>,
{
    type Future = Ready<Answer<Res, Err>>;

    fn instead(self, (): (), happened: Happened<Res, Err>) -> Self::Future {
        ready((self.0)(happened).into_answer())
    }
}

/// Answers with what an `async` function makes of what happened.
#[derive(Debug, Clone, Copy)]
pub struct Then<F>(pub(in crate::fallback) F);

impl<F, Fut, Res, Err> Instead<(), Res, Err> for Then<F>
where
    F: Fn(Happened<Res, Err>) -> Fut,
    Fut: Future,
    Fut::Output: IntoAnswer<Res, Err>,
{
    type Future = AnswerFuture<Fut, Res, Err>;

    fn instead(self, (): (), happened: Happened<Res, Err>) -> Self::Future {
        AnswerFuture {
            call: (self.0)(happened),
            answers: PhantomData,
        }
    }
}

/// The same, also with what was kept of the request.
#[derive(Debug, Clone, Copy)]
pub struct ThenWith<F>(pub(in crate::fallback) F);

impl<F, Fut, K, Res, Err> Instead<K, Res, Err> for ThenWith<F>
where
    F: Fn(K, Happened<Res, Err>) -> Fut,
    Fut: Future,
    Fut::Output: IntoAnswer<Res, Err>,
{
    type Future = AnswerFuture<Fut, Res, Err>;

    fn instead(self, kept: K, happened: Happened<Res, Err>) -> Self::Future {
        AnswerFuture {
            call: (self.0)(kept, happened),
            answers: PhantomData,
        }
    }
}

pin_project! {
    /// The future of a fallback function.
    #[derive(Debug)]
    pub struct AnswerFuture<F, Res, Err> {
        #[pin]
        call: F,
        answers: PhantomData<fn() -> (Res, Err)>,
    }
}

impl<F, Res, Err> Future for AnswerFuture<F, Res, Err>
where
    F: Future,
    F::Output: IntoAnswer<Res, Err>,
{
    type Output = Answer<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().call.poll(cx).map(IntoAnswer::into_answer)
    }
}
