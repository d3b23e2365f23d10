//! The reader's own time, which is not the call's.
//!
//! Whoever reads a body takes its time between two frames. That says nothing about the service behind, so it counts neither for a
//! slow call nor against a trial's lease: a call's time is what its caller has waited.

use std::num::NonZeroU64;

use super::Admission;
use crate::breaker::{
    machine::{Standing, Ticket},
    shared::{Entry, Shared},
};

/// Whether the time of a call is the reader's own just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnTime(NonZeroU64);

// Moments on a circuit's clock are far from these: they are nanoseconds.
const UNTIMED: NonZeroU64 = NonZeroU64::MAX;
const WAITING: NonZeroU64 = moment(u64::MAX - 1);

const fn moment(nanos: u64) -> NonZeroU64 {
    match NonZeroU64::new(nanos) {
        Some(moment) => moment,
        None => NonZeroU64::MIN,
    }
}

impl OwnTime {
    /// Of a call that its caller waits for.
    #[inline]
    pub(crate) fn of(admission: &Admission) -> Self {
        let is_timed = admission
            .loan
            .as_ref()
            .is_some_and(|loan| loan.is_timed(&admission.entry));
        Self(if is_timed { WAITING } else { UNTIMED })
    }

    /// The reader has got something.
    #[inline]
    pub(crate) fn begin(&mut self, admission: &mut Admission) {
        if self.0 != UNTIMED {
            self.begin_timed(admission);
        }
    }

    /// The reader waits again, or the call is over.
    #[inline]
    pub(crate) fn end(&mut self, admission: &mut Admission) {
        if self.0 < WAITING {
            self.end_timed(admission);
        }
    }

    #[inline(never)]
    fn begin_timed(&mut self, admission: &mut Admission) {
        if self.0 < WAITING {
            // It got this without having to wait, so its time has gone on. But it has shown that it is still there.
            if !has_lease(&admission.entry) {
                return;
            }
            self.end_timed(admission);
        }
        if let Some(loan) = &admission.loan {
            self.0 = moment(loan.now().min(WAITING.get() - 1));
            loan.set_lease_aside(&admission.entry);
        }
    }

    #[inline(never)]
    fn end_timed(&mut self, admission: &mut Admission) {
        let since = self.0;
        self.0 = WAITING;
        if let Some(loan) = &admission.loan {
            let own = loan.now().saturating_sub(since.get());
            loan.leave_out(&mut admission.entry, own);
        }
    }
}

#[inline]
fn has_lease(entry: &Entry) -> bool {
    matches!(entry.ticket.standing(), Standing::Trial(Some(_)))
}

impl Shared {
    // Whether it matters how long this call takes.
    #[inline]
    fn is_timed(&self, entry: &Entry) -> bool {
        self.times_calls || has_lease(entry)
    }

    fn set_lease_aside(&self, entry: &Entry) {
        if let Standing::Trial(Some(lease)) = entry.ticket.standing() {
            self.machine.set_lease_aside(lease);
        }
    }

    // As if the call had begun so much later.
    fn leave_out(&self, entry: &mut Entry, own: u64) {
        entry.admitted_at = entry.admitted_at.saturating_add(own);
        if let Standing::Trial(Some(lease)) = entry.ticket.standing() {
            let lease = self.machine.take_lease_up(lease, own);
            entry.ticket = Ticket::trial(entry.ticket.generation(), Some(lease));
        }
    }
}
