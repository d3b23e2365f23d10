//! Why a service did not start or did not end well.

use crate::BoxError;
use crate::config::ConfigErrors;
use std::fmt;
use std::net::SocketAddr;

/// Why a service's `start` failed. Everything that is an error, and every text, becomes one with `?` or `.into()`.
pub struct StartError {
    cause: BoxError,
}

// `StartError` is no `Error` itself, so that this conversion covers every error there is (as `anyhow` does).
impl<E: Into<BoxError>> From<E> for StartError {
    fn from(cause: E) -> Self {
        Self {
            cause: cause.into(),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        let cause: &(dyn std::error::Error + 'static) = self.cause.as_ref();
        crate::problem::chain(cause)
            .skip(1)
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why [`launch`](super::launch) gave no running service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The flags are wrong, or were `--help` or `--version`.
    #[error("{0}")]
    Flags(#[from] clap::Error),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// A listener could not be had.
    #[error("cannot listen on {address} (key `{key}`): {reason}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The configuration key it came from.
        key: &'static str,
        /// Why not.
        reason: String,
    },
    /// The service's own `start` failed.
    #[error("cannot start: {0}")]
    Start(StartError),
    /// Asked to stop before `start` was over.
    #[error("asked to stop before it had started")]
    Stopped,
    /// The asynchronous runtime could not be made.
    #[error("cannot start the runtime: {0}")]
    Runtime(String),
}
