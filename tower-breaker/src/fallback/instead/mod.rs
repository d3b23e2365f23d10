//! What a fallback answers.

mod function;
mod keep;
mod service;
mod value;

pub use self::{
    function::{AnswerFuture, Function, Then, ThenWith},
    keep::{CloneRequest, Keep, KeepNothing},
    service::{ServiceFuture, ToService},
    value::Value,
};

use super::Happened;

/// Answers instead of the service behind, with the help of what was [kept](Keep) of the request.
pub trait Instead<Kept, Res, Err> {
    /// Makes the answer.
    type Future: Future<Output = Answer<Res, Err>>;

    /// Begins to answer.
    fn instead(self, kept: Kept, happened: Happened<Res, Err>) -> Self::Future;
}

/// What came of a fallback.
#[derive(Debug)]
pub enum Answer<Res, Err> {
    /// An answer, which is marked as degraded.
    Degraded(Res),
    /// None: the caller gets this, as it is.
    Failed(Result<Res, Err>),
}

/// What a fallback function may give: an [`Answer`], or a `Result`. A response in a `Result` is taken for an answer, and is
/// marked as degraded even if it is the one that [happened](Happened): to hand that on, give [`Answer::Failed`].
// Not `From`, of which there are so many that the error type of an `Ok(..)` could not be inferred.
pub trait IntoAnswer<Res, Err> {
    /// As an answer.
    fn into_answer(self) -> Answer<Res, Err>;
}

impl<Res, Err> IntoAnswer<Res, Err> for Answer<Res, Err> {
    fn into_answer(self) -> Self {
        self
    }
}

impl<Res, Err> IntoAnswer<Res, Err> for Result<Res, Err> {
    fn into_answer(self) -> Answer<Res, Err> {
        match self {
            Ok(response) => Answer::Degraded(response),
            Err(err) => Answer::Failed(Err(err)),
        }
    }
}

impl<Res, Err> From<Result<Res, Err>> for Answer<Res, Err> {
    fn from(result: Result<Res, Err>) -> Self {
        result.into_answer()
    }
}
