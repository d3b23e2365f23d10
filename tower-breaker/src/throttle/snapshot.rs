use std::{sync::Arc, time::Duration};

/// A throttle at one moment. While calls end, each count may be a few calls older than the next.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// A number that no other guard in this process has, of any kind. Guards that are built later have larger ones. Names may repeat.
    pub id: u64,
    /// The throttle's name.
    pub name: Arc<str>,
    /// Whether it refuses nothing, and only counts what it would have refused.
    pub dry_run: bool,
    /// How many calls may be made for each that is accepted.
    pub k: f64,
    /// Over which time calls are counted.
    pub window: Duration,
    /// Requests in the window: calls that ended with a verdict, and calls refused here.
    pub requests: u32,
    /// Requests in the window that were accepted.
    pub accepts: u32,
    /// With what probability the next call is refused, or would be: 0 to 1.
    pub probability: f64,
    /// Calls admitted so far.
    pub admitted: u64,
    /// Calls refused so far.
    pub refused: u64,
    /// Calls admitted in a dry run that would have been refused, so far.
    pub would_refuse: u64,
    /// Admitted calls that were accepted, so far.
    pub succeeded: u64,
    /// Admitted calls that were not accepted, so far.
    pub failed: u64,
    /// Admitted calls whose result said nothing, so far.
    pub ignored: u64,
    /// Admitted calls that were given up, so far.
    pub abandoned: u64,
}

impl Snapshot {
    /// Calls under way.
    pub fn in_flight(&self) -> u64 {
        let ended = self.succeeded + self.failed + self.ignored + self.abandoned;
        self.admitted.saturating_sub(ended)
    }
}
