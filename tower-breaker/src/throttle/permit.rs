use std::{fmt, mem, sync::Arc, thread};

use super::shared::{Outcome, Shared};
use crate::striped::Lane;

/// Permission for one call, to be given back with its result.
///
/// Dropped without one, the call was given up (see [`count_abandoned`](super::ThrottleBuilder::count_abandoned)), unless it is
/// dropped by a panic that began after it was acquired: then it was not accepted.
#[must_use = "a permit that is dropped without a result counts as an abandoned call"]
pub struct ThrottlePermit {
    admission: Admission,
    acquired_in_panic: bool,
}

impl ThrottlePermit {
    // The caller has asked to be admitted, and was.
    #[inline]
    pub(super) fn new(shared: Arc<Lane<Shared>>) -> Self {
        Self {
            admission: Admission::new(shared),
            acquired_in_panic: thread::panicking(),
        }
    }

    /// The backend accepted the call.
    pub fn success(mut self) {
        self.admission.settle(Outcome::Success);
    }

    /// The backend did not accept the call.
    pub fn failure(mut self) {
        self.admission.settle(Outcome::Failure);
    }

    /// The result says nothing about the backend, and is not counted.
    pub fn ignore(mut self) {
        self.admission.settle(Outcome::Ignore);
    }
}

impl Drop for ThrottlePermit {
    fn drop(&mut self) {
        if thread::panicking() && !self.acquired_in_panic {
            self.admission.settle(Outcome::Failure);
        }
    }
}

impl fmt::Debug for ThrottlePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThrottlePermit").finish_non_exhaustive()
    }
}

/// An admitted call that has no result yet; what the tower side works with.
pub(super) struct Admission {
    shared: Option<Arc<Lane<Shared>>>,
}

impl Admission {
    #[inline]
    pub(super) fn new(shared: Arc<Lane<Shared>>) -> Self {
        Self {
            shared: Some(shared),
        }
    }

    #[inline]
    pub(super) fn settle(&mut self, outcome: Outcome) {
        if let Some(shared) = self.shared.take() {
            shared.settle(outcome);
        }
    }

    /// Runs code of the inner service. If it panics, the call was not accepted, and the panic goes on.
    #[inline]
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
    #[inline]
    fn drop(&mut self) {
        self.settle(Outcome::Abandoned);
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}
