//! What happened.

use std::{fmt, sync::Arc};

use crate::{Reason, classify::refusal::Refusal};

/// Why there was no ordinary answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// A guard refused the call, for this reason.
    Refused(Reason),
    /// Tower's load shed refused the call.
    Overloaded,
    /// The call failed.
    Error,
    /// There was an answer, which was judged to be none.
    BadAnswer,
}

impl Cause {
    /// A short, stable name for logs, metric labels and headers: the [reason's](Reason::as_str), `overloaded`, `error` or
    /// `bad_answer`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused(reason) => reason.as_str(),
            Self::Overloaded => "overloaded",
            Self::Error => "error",
            Self::BadAnswer => "bad_answer",
        }
    }

    /// The cause for a result that is neither a refusal nor good.
    pub(super) fn of<Res, Err>(result: Result<&Res, &Err>) -> Self {
        match result {
            Ok(_) => Self::BadAnswer,
            Err(_) => Self::Error,
        }
    }
}

impl From<Refusal<'_>> for Cause {
    fn from(refusal: Refusal<'_>) -> Self {
        match refusal {
            Refusal::Guard(refused) => Self::Refused(refused.reason()),
            Refusal::LoadShed => Self::Overloaded,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => reason.fmt(f),
            Self::Overloaded => f.write_str("the service is overloaded"),
            Self::Error => f.write_str("the call failed"),
            Self::BadAnswer => f.write_str("the answer was not usable"),
        }
    }
}

/// What a fallback function gets: what happened, instead of which it is to answer.
#[derive(Debug)]
pub struct Happened<Res, Err> {
    /// Why there was no ordinary answer.
    pub cause: Cause,
    /// What the caller would have got.
    pub outcome: Result<Res, Err>,
}

/// Says of an answer that it is not the ordinary one. Over HTTP, it is in the response's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Degraded {
    by: Arc<str>,
    cause: Cause,
}

impl Degraded {
    pub(super) fn new(by: &Arc<str>, cause: Cause) -> Self {
        Self {
            by: Arc::clone(by),
            cause,
        }
    }

    /// The name of the fallback that answered.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Why.
    pub fn cause(&self) -> Cause {
        self.cause
    }
}

impl fmt::Display for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answered by `{}`: {}", self.by, self.cause)
    }
}
