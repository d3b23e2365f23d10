//! Exact totals.

use crate::striped::Striped;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Admitted,
    Succeeded,
    Failed,
    Ignored,
    Abandoned,
    Refused,
    Stale,
    TrialSucceeded,
    TrialFailed,
}

const COUNTS: usize = Count::TrialFailed as usize + 1;

pub(super) struct Counters(Striped<COUNTS>);

impl Counters {
    pub(super) fn new() -> Self {
        Self(Striped::new())
    }

    #[inline]
    pub(super) fn add(&self, count: Count) {
        self.0.add(count as usize);
    }

    pub(super) fn get(&self, count: Count) -> u64 {
        self.0.sum(count as usize)
    }
}
