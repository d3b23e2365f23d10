//! Exact totals.

use super::{machine::Denied, snapshot::Refusals};
use crate::{Reason, ownership::Addition, striped::Striped};

/// What is counted. As many as a stripe has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    LeaseExpired,
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
    // Last, where what else every call needs is beside them: see `Shared`.
    Succeeded,
    Admitted,
}

// A refusal finds its counter by adding, so the two have one order.
const _: () = {
    let first = Count::RefusedOpen as usize;
    assert!(Reason::CircuitOpen as usize == 0);
    assert!(Reason::HalfOpenFull as usize == Count::RefusedHalfOpen as usize - first);
    assert!(Reason::ForcedOpen as usize == Count::RefusedForced as usize - first);
    assert!(Reason::Ramping as usize == Count::RefusedRamping as usize - first);
};

const COUNTS: usize = Count::Admitted as usize + 1;

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

    #[inline]
    pub(super) fn add_refusal(&self, denied: Denied) {
        // Most are of this kind. Told by a branch, which is foreseen, and not by the index alone: that would only be known once the
        // clock has been read, and what comes after would wait for it.
        let is_usual = denied.is_of(Reason::CircuitOpen);
        if !(is_usual && self.0.add_alone(Count::RefusedOpen as usize)) {
            self.add_refusal_slowly(denied);
        }
    }

    #[cold]
    fn add_refusal_slowly(&self, denied: Denied) {
        // A circuit refuses for the first four reasons only; said so, the index needs no check.
        let which = denied.reason_as_number() & 3;
        self.0.add(Count::RefusedOpen as usize + which);
    }

    /// As [`add`](Self::add), still to be made: for the end of a loan.
    #[inline]
    pub(super) fn addition(&self, count: Count) -> Addition<'_> {
        self.0.addition(count as usize)
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
