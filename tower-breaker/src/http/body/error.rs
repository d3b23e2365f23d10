//! What a body with a stall limit may fail with.

use std::{error::Error as StdError, fmt, time::Duration};

use crate::BoxError;

/// The upstream gave no frame of a body for as long as it was allowed to, while the reader waited for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stalled {
    limit: Duration,
}

impl Stalled {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit }
    }

    /// The limit.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Looks for this in an error and everything it was caused by.
    pub fn find<'a>(err: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(err), |&err| err.source())
            .find_map(|err| err.downcast_ref::<Self>())
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body stalled: nothing came for {:?}", self.limit)
    }
}

impl StdError for Stalled {}

/// The error of a guarded body with a stall limit.
#[derive(Debug, Clone)]
pub enum BodyError<E> {
    /// The body stalled. It gives nothing more.
    Stalled(Stalled),
    /// The body failed by itself.
    Inner(E),
}

impl BodyError<BoxError> {
    /// The boxed form. `BoxError` does not implement `std::error::Error`, so this type cannot either, and is no `Into<BoxError>`.
    /// Use it with http-body-util's `map_err`.
    pub fn into_boxed(self) -> BoxError {
        match self {
            Self::Stalled(stalled) => stalled.into(),
            Self::Inner(err) => err,
        }
    }
}

impl<E: fmt::Display> fmt::Display for BodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stalled(stalled) => stalled.fmt(f),
            Self::Inner(err) => err.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for BodyError<E> {
    // Transparent, as `Error` is.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Stalled(stalled) => Some(stalled),
            Self::Inner(err) => Some(err),
        }
    }
}
