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

impl<Res, Err> From<Result<Res, Err>> for Answer<Res, Err> {
    fn from(result: Result<Res, Err>) -> Self {
        match result {
            Ok(response) => Self::Degraded(response),
            Err(err) => Self::Failed(Err(err)),
        }
    }
}
