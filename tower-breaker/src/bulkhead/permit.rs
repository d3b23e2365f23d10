use std::{fmt, mem};

use super::{
    gate::{Gate, Left},
    place::Place,
};
use crate::{
    classify::Verdict,
    ownership::{Loan, NotEnded, Owner},
};

/// How a call went, in the eyes of a limit that adapts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was answered: how long that took says how loaded the dependency is.
    Success,
    /// The dependency is overloaded: it said so, it dropped the call, or the call ran into its time-out.
    Overload,
    /// It says nothing about the load: the caller went away, or the call failed for a reason of its own.
    Ignore,
}

/// The right to run one call. Dropping it gives it back, to the first waiter if somebody waits.
#[must_use = "dropping a permit gives it back at once"]
pub struct BulkheadPermit {
    // `None` only while it is being given back.
    loan: Option<Loan<Gate>>,
    // By the clock of a limit that finds itself; of no meaning otherwise.
    started: u64,
    // A whole word, although a place is less: what is written in narrow pieces and copied in wide ones is waited for.
    place: u64,
}

impl BulkheadPermit {
    // The caller has entered the gate and hands its duty to leave over to the permit.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) fn new(gate: &Owner<Gate>, place: Place) -> Self {
        // SAFETY: the call has just been counted in flight, and on nobody else's account. The loan is taken out of the option by
        // whoever counts that it is no longer, so that happens once.
        let loan = unsafe { gate.lend() };
        let mut permit = Self {
            loan: Some(loan),
            started: 0,
            place: place.to_word(),
        };
        if let Some(adaptive) = gate.adaptive() {
            // With the permit at hand, in case the clock, which is the user's, panics.
            permit.started = adaptive.now();
        }
        permit
    }

    // Whether it is of interest how the call went.
    #[inline(always)]
    pub(super) fn listens(&self) -> bool {
        self.loan
            .as_ref()
            .is_some_and(|gate| gate.adaptive().is_some())
    }

    /// Gives the permit back, and says how the call went. A limit that adapts itself learns from that; for a fixed limit it is the
    /// same as dropping the permit. A permit that is only dropped counts as [`Outcome::Ignore`].
    ///
    /// # Panics
    ///
    /// When the [`Algorithm`](super::limit::Algorithm) does, or the clock. The permit is given back all the same.
    #[inline(always)]
    pub fn finish(self, outcome: Outcome) {
        self.tell(outcome);
    }

    // As `finish`, for a call that goes on to use its place.
    #[inline(always)]
    pub(super) fn tell(&self, outcome: Outcome) {
        let Some(gate) = &self.loan else { return };
        if let Some(adaptive) = gate.adaptive() {
            adaptive.listen(gate, self.started, outcome);
        }
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Success => Self::Success,
            Verdict::Failure => Self::Overload,
            Verdict::Ignore => Self::Ignore,
        }
    }
}

/// Runs code of the inner service. If it panics, the permit is given back before the panic goes on.
#[inline(always)]
pub(super) fn release_on_panic<T>(
    permit: &mut Option<BulkheadPermit>,
    run: impl FnOnce() -> T,
) -> T {
    let released = ReleasedOnPanic(permit);
    let value = run();
    released.did_not_panic();
    value
}

/// While it is there, a panic gives the permit back. For what gives something wide, which is moved once more when it comes out of
/// [`release_on_panic`]'s closure.
pub(super) struct ReleasedOnPanic<'a>(pub(super) &'a mut Option<BulkheadPermit>);

impl ReleasedOnPanic<'_> {
    #[inline(always)]
    pub(super) fn did_not_panic(self) {
        mem::forget(self);
    }
}

impl Drop for ReleasedOnPanic<'_> {
    fn drop(&mut self) {
        self.0.take();
    }
}

impl Drop for BulkheadPermit {
    #[inline(always)]
    fn drop(&mut self) {
        let Some(loan) = self.loan.take() else { return };
        let place = Place::from_word(self.place);
        if let Err(NotEnded { loan, rest }) = loan.try_end(|gate| gate.leaving(place)) {
            leave_with_care(loan, place, rest);
        }
    }
}

// Somebody waits. Serving them comes after the end of the loan, so it needs a handle of its own.
#[cold]
fn leave_with_care(loan: Loan<Gate>, place: Place, so_far: Left) {
    let gate = loan.own();
    let _ended = loan.try_end(|gate| gate.leaving(place).anyway(so_far));
    gate.serve();
}

impl fmt::Debug for BulkheadPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.loan.as_ref().map(|gate| gate.name());
        f.debug_struct("BulkheadPermit")
            .field("bulkhead", &name)
            .finish()
    }
}
