//! What is known of a source: for dashboards, and for whoever waits for its first answer.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// `static`, `file`, `dns` or `srv`.
    pub kind: &'static str,
    /// What is looked at: a path or a name; for the static kind how many endpoints are configured.
    pub of: Arc<str>,
    /// Attempts that gave an answer, whole or in part.
    pub succeeded: u64,
    /// Attempts that gave none, or not the whole.
    pub failed: u64,
    /// Failures since the last attempt without one.
    pub failures_in_a_row: u32,
    /// When the last answer came.
    pub last_success: Option<Instant>,
    /// Until when it holds, if its source says so. After that it is used for want of a better one.
    pub expires: Option<Instant>,
    /// What went wrong last; `None` again once all is well.
    pub last_error: Option<Arc<str>>,
    /// Endpoints published last.
    pub endpoints: usize,
    /// Endpoints that were too many.
    pub left_out: usize,
}

impl Status {
    pub(super) fn new(kind: &'static str, of: Arc<str>) -> Self {
        Self {
            kind,
            of,
            succeeded: 0,
            failed: 0,
            failures_in_a_row: 0,
            last_success: None,
            expires: None,
            last_error: None,
            endpoints: 0,
            left_out: 0,
        }
    }

    /// How old the answer in use is; `None` before the first.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.last_success?))
    }

    /// How much longer the answer in use holds, zero once it does not any more; `None` if its source does not say.
    #[must_use]
    pub fn ttl_left(&self, now: Instant) -> Option<Duration> {
        Some(self.expires?.saturating_duration_since(now))
    }

    /// Whether the answer in use is one that its source would not vouch for any more.
    #[must_use]
    pub fn is_stale(&self, now: Instant) -> bool {
        self.failures_in_a_row > 0 || self.expires.is_some_and(|expires| expires <= now)
    }
}
