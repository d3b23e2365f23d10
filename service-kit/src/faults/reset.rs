//! The mark by which a layer tells the connection to end without an answer.

use std::fmt;

/// As a response extension: close the connection instead of sending this response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResetConnection;

impl fmt::Display for ResetConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed on purpose by an injected fault")
    }
}

impl std::error::Error for ResetConnection {}
