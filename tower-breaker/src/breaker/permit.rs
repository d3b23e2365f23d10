//! Permission for one call.

#[cfg(feature = "http")]
mod own_time;

use std::{fmt, mem, thread, time::Duration};

use super::{
    counters::Count,
    machine::{Change, Ticket},
    policy::nanos,
    shared::{Entry, Outcome, Quietly, Shared},
};
use crate::{
    Refused,
    ownership::{Loan, Owner},
};

#[cfg(feature = "http")]
pub(crate) use self::own_time::OwnTime;

/// An admitted call that has no result yet. Dropped without one, it was abandoned.
///
/// What the tower side works with; [`Permit`] wraps it for users.
pub(crate) struct Admission {
    loan: Option<Loan<Shared>>,
    entry: Entry,
}

impl Admission {
    #[inline(always)]
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
    #[inline(always)]
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

    #[inline(always)]
    pub(crate) fn settle(&mut self, outcome: Outcome) {
        self.settle_hinted(outcome, None);
    }

    /// As [`settle`](Self::settle), with how long the server asks to be left alone.
    #[inline(always)]
    pub(crate) fn settle_hinted(&mut self, outcome: Outcome, hint: Option<Duration>) {
        if let Some(loan) = self.loan.take() {
            settle(loan, self.entry, outcome, hint);
        }
    }

    /// Whether the circuit wants to know how long the server asks to be left alone.
    #[inline]
    pub(crate) fn wants_retry_after(&self) -> bool {
        self.loan
            .as_ref()
            .is_some_and(|loan| loan.machine.policy().retry_after_cap.is_some())
    }

    /// The call failed by a panic.
    #[cold]
    pub(super) fn panicked(&mut self) {
        if let Some(loan) = &self.loan {
            loan.counters.add(Count::Panicked);
        }
        self.settle(Outcome::Failure);
    }

    /// Runs code of the inner service. If it panics, that is a failure of the call, recorded before the panic goes on.
    #[inline(always)]
    pub(crate) fn watch<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let watched = self.watched();
        let value = run();
        watched.did_not_panic();
        value
    }

    /// The same, for what gives something wide, which is moved once more when it comes out of a closure.
    #[inline(always)]
    pub(crate) fn watched(&mut self) -> Watched<'_> {
        Watched(self)
    }
}

/// While it is there, a panic is a failure of the call.
pub(crate) struct Watched<'a>(&'a mut Admission);

impl Watched<'_> {
    #[inline(always)]
    pub(crate) fn did_not_panic(self) {
        mem::forget(self);
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.panicked();
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
            loan.end(|shared| shared.counters.addition(count));
        }
    }
}

// Inlined is what nearly every call needs: a success that is no news but to a window of calls.
//
// No argument here is of more than two words: it would be put into memory, and copied in other pieces than it was written in, for
// which a processor waits longer than for all the rest of a call. `hint` is in nanoseconds, zero for none.
#[inline(always)]
fn settle(loan: Loan<Shared>, entry: Entry, outcome: Outcome, hint: Option<Duration>) {
    let Entry {
        ticket,
        admitted_at,
    } = entry;
    if outcome != Outcome::Success {
        settle_slowly(loan, ticket, admitted_at, outcome, hint.map_or(0, nanos));
    } else if loan.succeed_at_once(&entry) {
        loan.end(|shared| shared.counters.addition(Count::Succeeded));
    } else {
        succeed(loan, ticket, admitted_at, hint.map_or(0, nanos));
    }
}

#[inline(never)]
fn succeed(loan: Loan<Shared>, ticket: Ticket, admitted_at: u64, hint: u64) {
    let end = CountsTheEnd {
        loan: Some(loan),
        count: Count::Succeeded,
    };
    let Some(loan) = &end.loan else { return };
    let entry = Entry {
        ticket,
        admitted_at,
    };
    match loan.succeed(entry) {
        Quietly::Done => {}
        Quietly::Tripped(cause) => {
            let change = loan.trip(entry, cause);
            announce(end, change, false);
        }
        Quietly::No => settle_entry(end, entry, Outcome::Success, hint),
    }
}

#[inline(never)]
fn settle_slowly(
    loan: Loan<Shared>,
    ticket: Ticket,
    admitted_at: u64,
    outcome: Outcome,
    hint: u64,
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
    let entry = Entry {
        ticket,
        admitted_at,
    };
    settle_entry(end, entry, outcome, hint);
}

#[inline(never)]
fn settle_entry(mut end: CountsTheEnd, entry: Entry, outcome: Outcome, hint: u64) {
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
}

impl Permit {
    #[inline(always)]
    pub(crate) fn new(mut admission: Admission) -> Self {
        let ticket = &mut admission.entry.ticket;
        *ticket = ticket.in_panic(thread::panicking());
        Self { admission }
    }

    /// The call succeeded.
    #[inline(always)]
    pub fn success(self) {
        self.settle(Outcome::Success, None);
    }

    /// The call failed.
    #[inline(always)]
    pub fn failure(self) {
        self.settle(Outcome::Failure, None);
    }

    /// The call failed, and what was called asks to be left alone for so long. If this result opens the circuit, the open wait
    /// is at least that, as far as [`honor_retry_after`](super::CircuitBreakerBuilder::honor_retry_after) allows; without that
    /// option it is an ordinary failure.
    pub fn failure_with_retry_after(self, wait: Duration) {
        self.settle(Outcome::Failure, Some(wait));
    }

    /// The call's result says nothing about the health of what was called.
    pub fn ignore(self) {
        self.settle(Outcome::Ignore, None);
    }

    #[inline(always)]
    fn settle(mut self, outcome: Outcome, hint: Option<Duration>) {
        let entry = self.admission.entry;
        if let Some(loan) = self.admission.loan.take() {
            // Without the loan there is nothing that dropping it would do.
            mem::forget(self);
            settle(loan, entry, outcome, hint);
        }
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        let entry = self.admission.entry;
        if let Some(loan) = self.admission.loan.take() {
            abandon(loan, entry.ticket, entry.admitted_at);
        }
    }
}

#[cold]
fn abandon(loan: Loan<Shared>, ticket: Ticket, admitted_at: u64) {
    let outcome = if thread::panicking() && !ticket.was_in_panic() {
        loan.counters.add(Count::Panicked);
        Outcome::Failure
    } else {
        Outcome::Abandoned
    };
    settle_slowly(loan, ticket, admitted_at, outcome, 0);
}
