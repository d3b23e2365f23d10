//! What a bulkhead says about itself.

use std::{sync::Arc, time::Duration};

use super::limit::Figures;

/// A bulkhead at one moment. `in_flight`, `queued` and `admitted` belong together exactly; the other counts may be a few
/// calls younger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The bulkhead's name.
    pub name: Arc<str>,
    /// How many calls may run at once, at this moment.
    pub max_concurrent: usize,
    /// How many calls may wait.
    pub max_queue: usize,
    /// How long a call may wait, if there is a limit.
    pub max_wait: Option<Duration>,
    /// Permits that are out: calls running, and calls that have been granted one and have not run on yet.
    pub in_flight: usize,
    /// Calls waiting.
    pub queued: usize,
    /// Permits given so far.
    pub admitted: u64,
    /// Refusals so far.
    pub refused: Refusals,
    /// What came of waiting so far.
    pub waits: Waits,
    /// How the limit came to be what it is, if it finds itself.
    pub adaptive: Option<Figures>,
}

/// Refusals by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// [`Reason::BulkheadFull`](crate::Reason::BulkheadFull)
    pub full: u64,
    /// [`Reason::QueueFull`](crate::Reason::QueueFull)
    pub queue_full: u64,
    /// [`Reason::WaitedTooLong`](crate::Reason::WaitedTooLong)
    pub waited_too_long: u64,
}

impl Refusals {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.full + self.queue_full + self.waited_too_long
    }
}

/// Calls that left the queue, other than by waiting too long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waits {
    /// Calls that got a permit after waiting.
    pub granted: u64,
    /// Calls whose caller went away while they waited, or before they picked their permit up.
    pub abandoned: u64,
    /// How long the granted ones waited, all together.
    pub total: Duration,
    /// How long the one that waited longest did.
    pub longest: Duration,
}

impl Waits {
    pub(super) fn record(&mut self, waited: Duration) {
        self.granted += 1;
        self.total = self.total.saturating_add(waited);
        self.longest = self.longest.max(waited);
    }
}
