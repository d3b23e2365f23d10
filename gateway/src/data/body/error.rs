//! Request bodies that could not be sent on.

use std::{error::Error, fmt};

/// A client's request body broke off, went over the limit or stopped coming. A type of its own, because to an HTTP client a
/// body that fails looks like a call that failed, and the upstream must not be blamed for it.
#[derive(Debug)]
pub enum RequestBodyError {
    /// The client went away in the middle of it, or what came was no body.
    Broken(Option<hyper::Error>),
    /// It is larger than this.
    TooLarge(u64),
    /// The next piece did not come in time.
    TooSlow,
}

impl fmt::Display for RequestBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(_) => f.write_str("the request body could not be read from the client"),
            Self::TooLarge(limit) => {
                write!(
                    f,
                    "the request body is larger than the limit of {limit} bytes"
                )
            }
            Self::TooSlow => f.write_str("the rest of the request body did not arrive in time"),
        }
    }
}

impl Error for RequestBodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken(Some(error)) => Some(error),
            Self::Broken(None) | Self::TooLarge(_) | Self::TooSlow => None,
        }
    }
}

impl RequestBodyError {
    /// The same without its cause, for someone else to report.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::Broken(_) => Self::Broken(None),
            Self::TooLarge(limit) => Self::TooLarge(*limit),
            Self::TooSlow => Self::TooSlow,
        }
    }

    /// Looks for one through the causes of an error.
    #[must_use]
    pub fn find<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }
}
