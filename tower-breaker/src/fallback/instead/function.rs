use std::{
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{Answer, Instead};
use crate::fallback::Happened;

/// Answers with what a function makes of what happened.
#[derive(Debug, Clone, Copy)]
pub struct Function<F>(pub(in crate::fallback) F);

impl<F, Res, Err> Instead<(), Res, Err> for Function<F>
where
    F: Fn(Happened<Res, Err>) -> Result<Res, Err>,
{
    type Future = Ready<Answer<Res, Err>>;

    fn instead(self, (): (), happened: Happened<Res, Err>) -> Self::Future {
        ready((self.0)(happened).into())
    }
}

/// Answers with what an `async` function makes of what happened.
#[derive(Debug, Clone, Copy)]
pub struct Then<F>(pub(in crate::fallback) F);

impl<F, Fut, Res, Err> Instead<(), Res, Err> for Then<F>
where
    F: Fn(Happened<Res, Err>) -> Fut,
    Fut: Future<Output = Result<Res, Err>>,
{
    type Future = AnswerFuture<Fut>;

    fn instead(self, (): (), happened: Happened<Res, Err>) -> Self::Future {
        AnswerFuture {
            call: (self.0)(happened),
        }
    }
}

/// The same, also with what was kept of the request.
#[derive(Debug, Clone, Copy)]
pub struct ThenWith<F>(pub(in crate::fallback) F);

impl<F, Fut, K, Res, Err> Instead<K, Res, Err> for ThenWith<F>
where
    F: Fn(K, Happened<Res, Err>) -> Fut,
    Fut: Future<Output = Result<Res, Err>>,
{
    type Future = AnswerFuture<Fut>;

    fn instead(self, kept: K, happened: Happened<Res, Err>) -> Self::Future {
        AnswerFuture {
            call: (self.0)(kept, happened),
        }
    }
}

pin_project! {
    /// The future of a fallback function.
    #[derive(Debug)]
    pub struct AnswerFuture<F> {
        #[pin]
        call: F,
    }
}

impl<F, Res, Err> Future for AnswerFuture<F>
where
    F: Future<Output = Result<Res, Err>>,
{
    type Output = Answer<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().call.poll(cx).map(Answer::from)
    }
}
