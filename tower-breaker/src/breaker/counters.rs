//! Exact totals.

use crate::sync::{AtomicU64, Ordering};

/// How a call ended, for the totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Succeeded,
    Failed,
    Ignored,
    Abandoned,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) admitted: Counter,
    pub(super) succeeded: Counter,
    pub(super) failed: Counter,
    pub(super) ignored: Counter,
    pub(super) abandoned: Counter,
    pub(super) refused: Counter,
    pub(super) stale: Counter,
    pub(super) trials_succeeded: Counter,
    pub(super) trials_failed: Counter,
}

impl Counters {
    pub(super) fn ended(&self, ending: Ending) {
        match ending {
            Ending::Succeeded => self.succeeded.add(),
            Ending::Failed => self.failed.add(),
            Ending::Ignored => self.ignored.add(),
            Ending::Abandoned => self.abandoned.add(),
        }
    }
}

pub(super) struct Counter(AtomicU64);

impl Default for Counter {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
