//! Permission for one call.

use std::{fmt, mem, thread, time::Duration};

use super::{
    counters::Count,
    machine::Change,
    shared::{Entry, Outcome, Quietly, Shared},
};
use crate::{
    Refused,
    ownership::{Loan, Owner},
};

/// An admitted call that has no result yet. Dropped without one, it was abandoned.
///
/// What the tower side works with; [`Permit`] wraps it for users.
pub(crate) struct Admission {
    loan: Option<Loan<Shared>>,
    entry: Entry,
}

impl Admission {
    #[inline]
    pub(super) fn acquire(shared: &Owner<Shared>) -> Result<Self, Refused> {
        let entry = shared.admit()?;
        Ok(Self::new(shared, entry))
    }

    /// Only if the circuit is closed, with nothing to ask but the rules.
    #[inline]
    pub(super) fn acquire_if_closed(shared: &Owner<Shared>) -> Option<Self> {
        let entry = shared.admit_if_closed()?;
        Some(Self::new(shared, entry))
    }

    /// Not on behalf of a caller: nobody is refused.
    pub(super) fn unasked(shared: &Owner<Shared>) -> Option<Self> {
        let entry = shared.admit_unasked()?;
        Some(Self::new(shared, entry))
    }

    pub(super) fn trial(shared: &Owner<Shared>) -> Option<Self> {
        let entry = shared.admit_trial()?;
        Some(Self::new(shared, entry))
    }

    // Only with an entry that was just made: it is what counted the loan's beginning.
    #[inline]
    #[allow(unsafe_code)]
    fn new(shared: &Owner<Shared>, entry: Entry) -> Self {
        // SAFETY: `entry` is of a call that has just been counted as admitted, and is used for nothing else. The loan is
        // taken out of the option by whoever counts the end, so that happens once.
        let loan = unsafe { shared.lend() };
        Self {
            loan: Some(loan),
            entry,
        }
    }

    #[inline]
    pub(crate) fn settle(&mut self, outcome: Outcome) {
        self.settle_hinted(outcome, None);
    }

    /// As [`settle`](Self::settle), with how long the server asks to be left alone.
    #[inline]
    pub(crate) fn settle_hinted(&mut self, outcome: Outcome, hint: Option<Duration>) {
        if let Some(loan) = self.loan.take() {
            if outcome == Outcome::Success && loan.success_is_no_news(&self.entry) {
                loan.end(|shared| shared.counters.add(Count::Succeeded));
            } else {
                settle(loan, self.entry, outcome, hint);
            }
        }
    }

    /// Whether the circuit wants to know how long the server asks to be left alone.
    #[inline]
    pub(crate) fn wants_retry_after(&self) -> bool {
        self.loan
            .as_ref()
            .is_some_and(|loan| loan.machine.policy().retry_after_cap.is_some())
    }

    /// Runs code of the inner service. If it panics, that is a failure of the call, recorded before the panic goes on.
    #[inline]
    pub(crate) fn watch<T>(&mut self, run: impl FnOnce() -> T) -> T {
        struct Panicked<'a>(&'a mut Admission);
        impl Drop for Panicked<'_> {
            fn drop(&mut self) {
                self.0.settle(Outcome::Failure);
            }
        }
        let watch = Panicked(self);
        let value = run();
        mem::forget(watch);
        value
    }
}

/// Counts the end of a call when dropped, so that it is counted even if a clock panics.
struct CountsTheEnd {
    loan: Option<Loan<Shared>>,
    count: Count,
}

impl Drop for CountsTheEnd {
    fn drop(&mut self) {
        if let Some(loan) = self.loan.take() {
            let count = self.count;
            loan.end(|shared| shared.counters.add(count));
        }
    }
}

// Not inlined, so that what is inlined is small: a success that is no news, which is nearly every call.
#[inline(never)]
fn settle(loan: Loan<Shared>, entry: Entry, outcome: Outcome, hint: Option<Duration>) {
    let mut quietly = Quietly::No;
    if outcome == Outcome::Success && !loan.reads_the_end {
        // Nothing in there is the user's, so there is nothing that could panic.
        quietly = loan.succeed(entry);
        if let Quietly::Done = quietly {
            return loan.end(|shared| shared.counters.add(Count::Succeeded));
        }
    }
    settle_guarded(loan, entry, outcome, hint, quietly);
}

#[inline(never)]
fn settle_guarded(
    loan: Loan<Shared>,
    entry: Entry,
    outcome: Outcome,
    hint: Option<Duration>,
    mut quietly: Quietly,
) {
    let end = CountsTheEnd {
        loan: Some(loan),
        count: match outcome {
            Outcome::Success => Count::Succeeded,
            Outcome::Failure => Count::Failed,
            Outcome::Ignore => Count::Ignored,
            Outcome::Abandoned => Count::Abandoned,
        },
    };
    let Some(loan) = &end.loan else { return };
    if outcome == Outcome::Success && loan.reads_the_end {
        quietly = loan.succeed(entry);
    }
    match quietly {
        Quietly::Done => {}
        Quietly::Tripped(cause) => {
            let change = loan.trip(entry, cause);
            announce(end, change, false);
        }
        Quietly::No => settle_slowly(end, entry, outcome, hint),
    }
}

#[inline(never)]
fn settle_slowly(mut end: CountsTheEnd, entry: Entry, outcome: Outcome, hint: Option<Duration>) {
    let Some(loan) = &end.loan else { return };
    let ending = loan.settle(entry, outcome, hint);
    end.count = ending.count;
    if ending.change.is_some() || ending.frees_a_slot {
        announce(end, ending.change, ending.frees_a_slot);
    }
}

// Listeners are told of a change when its call is among the totals already. The end of the loan is counted by then, so this
// needs a handle of its own.
#[cold]
fn announce(end: CountsTheEnd, change: Option<Change>, frees_a_slot: bool) {
    let Some(owner) = end.loan.as_ref().map(Loan::own) else {
        return;
    };
    drop(end);
    owner.announce(change);
    if frees_a_slot {
        owner.changed.notify_waiters();
    }
}

impl Drop for Admission {
    #[inline]
    fn drop(&mut self) {
        if let Some(loan) = self.loan.take() {
            settle(loan, self.entry, Outcome::Abandoned, None);
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}

/// Permission for one call, to be given back with its result.
///
/// Dropped without a result the call counts as abandoned (see [`Abandoned`](super::Abandoned)), unless it is dropped by
/// a panic that began after it was acquired: that is a failure.
#[derive(Debug)]
#[must_use = "a permit that is dropped without a result counts as an abandoned call"]
pub struct Permit {
    admission: Admission,
    acquired_in_panic: bool,
}

impl Permit {
    pub(crate) fn new(admission: Admission) -> Self {
        Self {
            admission,
            acquired_in_panic: thread::panicking(),
        }
    }

    /// The call succeeded.
    pub fn success(mut self) {
        self.admission.settle(Outcome::Success);
    }

    /// The call failed.
    pub fn failure(mut self) {
        self.admission.settle(Outcome::Failure);
    }

    /// The call failed, and what was called asks to be left alone for so long. If this result opens the circuit, the open wait
    /// is at least that, as far as [`honor_retry_after`](super::CircuitBreakerBuilder::honor_retry_after) allows; without that
    /// option it is an ordinary failure.
    pub fn failure_with_retry_after(mut self, wait: Duration) {
        self.admission.settle_hinted(Outcome::Failure, Some(wait));
    }

    /// The call's result says nothing about the health of what was called.
    pub fn ignore(mut self) {
        self.admission.settle(Outcome::Ignore);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if thread::panicking() && !self.acquired_in_panic {
            self.admission.settle(Outcome::Failure);
        }
    }
}
