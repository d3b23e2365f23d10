//! Exact totals.

use super::snapshot::Refusals;
use crate::{Reason, striped::Striped};

/// What is counted. As many as a stripe has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Admitted,
    Succeeded,
    Failed,
    Ignored,
    Abandoned,
    Panicked,
    RefusedOpen,
    RefusedHalfOpen,
    RefusedForced,
    RefusedRamping,
    WouldRefuse,
    Slow,
    Stale,
    TrialSucceeded,
    TrialFailed,
    LeaseExpired,
}

impl Count {
    /// A refusal for this reason.
    #[inline]
    pub(super) const fn refused(reason: Reason) -> Self {
        match reason {
            Reason::HalfOpenFull => Self::RefusedHalfOpen,
            Reason::ForcedOpen => Self::RefusedForced,
            Reason::Ramping => Self::RefusedRamping,
            _ => Self::RefusedOpen,
        }
    }
}

const COUNTS: usize = Count::LeaseExpired as usize + 1;

/// The totals that a transition tells of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) admitted: u64,
    pub(super) failed: u64,
    pub(super) slow: u64,
    pub(super) refused: u64,
    pub(super) would_refuse: u64,
}

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

    /// Since the circuit was built. Whoever reads it later, with a lock in between, finds no less.
    pub(super) fn totals(&self) -> Totals {
        Totals {
            admitted: self.get(Count::Admitted),
            failed: self.get(Count::Failed),
            slow: self.get(Count::Slow),
            refused: self.refusals().total(),
            would_refuse: self.get(Count::WouldRefuse),
        }
    }

    pub(super) fn refusals(&self) -> Refusals {
        Refusals {
            circuit_open: self.get(Count::RefusedOpen),
            half_open_full: self.get(Count::RefusedHalfOpen),
            forced_open: self.get(Count::RefusedForced),
            ramping: self.get(Count::RefusedRamping),
        }
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
