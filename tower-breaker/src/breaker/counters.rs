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
    WouldRefuse,
    Slow,
    Stale,
    TrialSucceeded,
    TrialFailed,
    LeaseExpired,
}

const COUNTS: usize = Count::LeaseExpired as usize + 1;

pub(super) struct Counters(Striped<COUNTS>);

impl Counters {
    /// `compact`: in one place, not in one for each thread.
    pub(super) fn new(compact: bool) -> Self {
        Self(if compact {
            Striped::compact()
        } else {
            Striped::new()
        })
    }

    #[inline]
    pub(super) fn add(&self, count: Count) {
        self.0.add(count as usize);
    }

    pub(super) fn get(&self, count: Count) -> u64 {
        self.0.sum(count as usize)
    }

    /// Whether every call that was admitted has ended. If so, this happens after whatever they did.
    pub(super) fn all_ended(&self) -> bool {
        let ended = [
            Count::Succeeded,
            Count::Failed,
            Count::Ignored,
            Count::Abandoned,
        ]
        .into_iter()
        .fold(0_u64, |sum, count| sum.wrapping_add(self.get(count)));
        self.get(Count::Admitted) == ended
    }
}
