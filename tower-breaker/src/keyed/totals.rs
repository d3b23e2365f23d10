//! Sums over many guards.

use std::{fmt, ops::AddAssign};

use crate::bulkhead::Snapshot;

/// Sums that can be added up: what [`Keyed::totals`](super::Keyed::totals) gives.
pub trait Totals: fmt::Debug + Clone + Default + AddAssign + Send + Sync + 'static {}

/// What all circuits of a registry have counted together. The fields are those of a circuit's
/// [`Snapshot`](crate::breaker::Snapshot).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerTotals {
    /// Calls admitted.
    pub admitted: u64,
    /// Admitted calls that succeeded.
    pub succeeded: u64,
    /// Admitted calls that failed.
    pub failed: u64,
    /// Admitted calls whose result was ignored.
    pub ignored: u64,
    /// Admitted calls that were given up before they had a result.
    pub abandoned: u64,
    /// Admitted calls that were slow.
    pub slow: u64,
    /// Calls refused.
    pub refused: u64,
    /// Calls admitted in a dry run that would have been refused.
    pub would_refuse: u64,
    /// Results that came too late to decide anything.
    pub stale: u64,
    /// Trials whose success counted.
    pub trials_succeeded: u64,
    /// Trials whose failure counted.
    pub trials_failed: u64,
    /// Trials that did not finish within their lease.
    pub leases_expired: u64,
    /// Transitions made.
    pub transitions: u64,
}

impl BreakerTotals {
    /// Admitted calls that have ended, in whatever way.
    pub fn ended(&self) -> u64 {
        self.succeeded + self.failed + self.ignored + self.abandoned
    }
}

impl AddAssign for BreakerTotals {
    fn add_assign(&mut self, other: Self) {
        // Taken apart, so that no field can be forgotten.
        let Self {
            admitted,
            succeeded,
            failed,
            ignored,
            abandoned,
            slow,
            refused,
            would_refuse,
            stale,
            trials_succeeded,
            trials_failed,
            leases_expired,
            transitions,
        } = other;
        self.admitted += admitted;
        self.succeeded += succeeded;
        self.failed += failed;
        self.ignored += ignored;
        self.abandoned += abandoned;
        self.slow += slow;
        self.refused += refused;
        self.would_refuse += would_refuse;
        self.stale += stale;
        self.trials_succeeded += trials_succeeded;
        self.trials_failed += trials_failed;
        self.leases_expired += leases_expired;
        self.transitions += transitions;
    }
}

impl Totals for BreakerTotals {}

/// What all bulkheads of a registry have counted together. The fields are those of a bulkhead's
/// [`Snapshot`](crate::bulkhead::Snapshot).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkheadTotals {
    /// Calls admitted.
    pub admitted: u64,
    /// Calls refused because as many ran as may, and they might not wait.
    pub full: u64,
    /// Calls refused because the queue was full.
    pub queue_full: u64,
    /// Calls that waited for as long as they might.
    pub waited_too_long: u64,
    /// Calls that had to make room in the queue for one of a higher priority.
    pub displaced: u64,
    /// Calls that got a permit after waiting.
    pub waits_granted: u64,
    /// Calls whose caller went away while they waited.
    pub waits_abandoned: u64,
    /// Calls that run now.
    pub in_flight: u64,
    /// Calls that wait now.
    pub queued: u64,
}

impl BulkheadTotals {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            admitted: snapshot.admitted,
            full: snapshot.refused.full,
            queue_full: snapshot.refused.queue_full,
            waited_too_long: snapshot.refused.waited_too_long,
            displaced: snapshot.refused.displaced,
            waits_granted: snapshot.waits.granted,
            waits_abandoned: snapshot.waits.abandoned,
            in_flight: snapshot.in_flight as u64,
            queued: snapshot.queued as u64,
        }
    }

    /// Calls refused, for whatever reason.
    pub fn refused(&self) -> u64 {
        self.full + self.queue_full + self.waited_too_long + self.displaced
    }
}

impl AddAssign for BulkheadTotals {
    fn add_assign(&mut self, other: Self) {
        let Self {
            admitted,
            full,
            queue_full,
            waited_too_long,
            displaced,
            waits_granted,
            waits_abandoned,
            in_flight,
            queued,
        } = other;
        self.admitted += admitted;
        self.full += full;
        self.queue_full += queue_full;
        self.waited_too_long += waited_too_long;
        self.displaced += displaced;
        self.waits_granted += waits_granted;
        self.waits_abandoned += waits_abandoned;
        self.in_flight += in_flight;
        self.queued += queued;
    }
}

impl Totals for BulkheadTotals {}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    // Each figure another one.
    fn breakers(from: u64) -> BreakerTotals {
        BreakerTotals {
            admitted: from + 1,
            succeeded: from + 2,
            failed: from + 3,
            ignored: from + 4,
            abandoned: from + 5,
            slow: from + 6,
            refused: from + 7,
            would_refuse: from + 8,
            stale: from + 9,
            trials_succeeded: from + 10,
            trials_failed: from + 11,
            leases_expired: from + 12,
            transitions: from + 13,
        }
    }

    // Each figure another one.
    fn bulkheads(from: u64) -> BulkheadTotals {
        BulkheadTotals {
            admitted: from + 1,
            full: from + 2,
            queue_full: from + 3,
            waited_too_long: from + 4,
            displaced: from + 5,
            waits_granted: from + 6,
            waits_abandoned: from + 7,
            in_flight: from + 8,
            queued: from + 9,
        }
    }

    #[test]
    fn every_figure_is_added_up() {
        let mut sum = breakers(10);
        sum += breakers(100);
        let figures = [
            sum.admitted,
            sum.succeeded,
            sum.failed,
            sum.ignored,
            sum.abandoned,
            sum.slow,
            sum.refused,
            sum.would_refuse,
            sum.stale,
            sum.trials_succeeded,
            sum.trials_failed,
            sum.leases_expired,
            sum.transitions,
        ];
        let expected: Vec<u64> = (1..=13).map(|field| 110 + 2 * field).collect();
        assert_eq!(figures[..], expected);
        let ended = breakers(100);
        assert_eq!(ended.ended(), 102 + 103 + 104 + 105);

        let mut sum = bulkheads(10);
        sum += bulkheads(100);
        let figures = [
            sum.admitted,
            sum.full,
            sum.queue_full,
            sum.waited_too_long,
            sum.displaced,
            sum.waits_granted,
            sum.waits_abandoned,
            sum.in_flight,
            sum.queued,
        ];
        let expected: Vec<u64> = (1..=9).map(|field| 110 + 2 * field).collect();
        assert_eq!(figures[..], expected);
        assert_eq!(bulkheads(100).refused(), 102 + 103 + 104 + 105);
    }
}
