//! Permission for one call.

use std::{fmt, mem, sync::Arc, thread};

use super::shared::{Entry, Outcome, Shared};
use crate::Refused;

/// An admitted call that has no result yet. Dropped without one, it was abandoned.
///
/// What the tower side works with; [`Permit`] wraps it for users.
pub(super) struct Admission {
    shared: Option<Arc<Shared>>,
    entry: Entry,
}

impl Admission {
    #[inline]
    pub(super) fn acquire(shared: &Arc<Shared>) -> Result<Self, Refused> {
        let entry = shared.admit()?;
        Ok(Self {
            shared: Some(shared.clone()),
            entry,
        })
    }

    /// Not on behalf of a caller: nobody is refused.
    pub(super) fn unasked(shared: &Arc<Shared>) -> Option<Self> {
        let entry = shared.admit_unasked()?;
        Some(Self {
            shared: Some(shared.clone()),
            entry,
        })
    }

    pub(super) fn trial(shared: &Arc<Shared>) -> Option<Self> {
        let entry = shared.admit_trial()?;
        Some(Self {
            shared: Some(shared.clone()),
            entry,
        })
    }

    #[inline]
    pub(super) fn settle(&mut self, outcome: Outcome) {
        if let Some(shared) = self.shared.take() {
            shared.settle(&self.entry, outcome);
        }
    }

    /// Runs code of the inner service. If it panics, that is a failure of the call, recorded before the panic goes on.
    pub(super) fn watch<T>(&mut self, run: impl FnOnce() -> T) -> T {
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

impl Drop for Admission {
    fn drop(&mut self) {
        self.settle(Outcome::Abandoned);
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
    pub(super) fn new(admission: Admission) -> Self {
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
