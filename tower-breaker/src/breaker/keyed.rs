//! What a registry of circuits asks of one.

use super::{
    CircuitBreaker, counters::Count, machine::Rest, permit::Admission, shared::Shared,
    transition::State,
};
use crate::{
    Refused,
    keyed::{BreakerTotals, Idleness},
};

impl CircuitBreaker {
    /// Lets a call pass, or refuses it.
    #[inline]
    pub(crate) fn enter(&self) -> Result<Admission, Refused> {
        Admission::acquire(&self.shared)
    }

    /// As [`enter`](Self::enter), if that runs no code of the user's but the clock: no listener, no waker. `None` otherwise.
    #[inline]
    pub(crate) fn enter_quietly(&self) -> Option<Result<Admission, Refused>> {
        if let Some(admission) = Admission::acquire_if_closed(&self.shared) {
            return Some(Ok(admission));
        }
        self.shared.refuse_if_open().map(Err)
    }

    pub(crate) fn idleness(&self) -> Idleness {
        // In this order: what the machine says is final only once nobody can change it.
        if !self.shared.is_alone() {
            return Idleness::Busy;
        }
        match self.shared.machine.rest(|| self.shared.now()) {
            Rest::NotClosed => Idleness::Busy,
            Rest::Remembers => Idleness::Remembers,
            Rest::Nothing => Idleness::Idle,
        }
    }

    pub(crate) fn totals(&self) -> BreakerTotals {
        self.shared.totals()
    }

    /// Whether both are handles of one circuit.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.shared.is(&other.shared)
    }
}

impl Shared {
    // An open circuit whose wait is not over, which is what most refusals are.
    fn refuse_if_open(&self) -> Option<Refused> {
        if self.machine.state() != State::Open || self.is_dry_run() {
            return None;
        }
        let denied = self.machine.denied(self.may_try(), || self.now())?;
        Some(self.refuse(denied))
    }

    fn totals(&self) -> BreakerTotals {
        let count = |count| self.counters.get(count);
        BreakerTotals {
            succeeded: count(Count::Succeeded),
            failed: count(Count::Failed),
            ignored: count(Count::Ignored),
            abandoned: count(Count::Abandoned),
            // Read after the endings: whatever has ended among them has been admitted here.
            admitted: count(Count::Admitted),
            slow: count(Count::Slow),
            refused: self.counters.refusals().total(),
            would_refuse: count(Count::WouldRefuse),
            stale: count(Count::Stale),
            trials_succeeded: count(Count::TrialSucceeded),
            trials_failed: count(Count::TrialFailed),
            leases_expired: count(Count::LeaseExpired),
            transitions: self.journal.total(),
        }
    }
}
