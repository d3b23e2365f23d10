//! The guarded service.

mod breaker;
mod bulkhead;
#[cfg(feature = "http")]
mod end_of_body;
#[cfg(feature = "http")]
mod permit_body;

use std::fmt;

#[cfg(feature = "http")]
pub use self::{end_of_body::JudgeBody, permit_body::HoldPermit};
use crate::mode::Boxed;

/// A service behind the guards of a registry. Made by [`KeyedLayer`](super::KeyedLayer).
///
/// # Readiness
///
/// `poll_ready` is that of the inner service: which guard decides about a call is known only once there is a request. So
///
/// * the inner service is asked for readiness even if the guard of the next call will refuse it. If it reserves something for a caller that
///   is ready, a refused caller keeps that until its next call or until it is dropped. One that waits for a bulkhead
///   ([`waiting`](super::KeyedLayer::waiting)) gives it back first;
/// * an error of the inner `poll_ready`, or a panic in it, is a failure of no circuit;
/// * there is no back-pressure.
///
/// The guard decides in `call`. What it decides about, and what becomes of the call then, is as with the layer for one guard:
/// [`CircuitBreakerLayer`](crate::CircuitBreakerLayer), [`BulkheadLayer`](crate::BulkheadLayer). A caller who calls without having asked
/// for readiness gets what the inner service makes of that.
///
/// For an inner service whose readiness is a reservation of its own, guard each key's service with a guard of that key instead.
#[derive(Clone)]
pub struct KeyedService<T, R, X, A, M = Boxed> {
    inner: T,
    registry: R,
    by: X,
    action: A,
    mode: M,
    asked: Asked,
}

/// What the inner service has been asked since it was last called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Asked {
    #[default]
    Nothing,
    NotReady,
    Ready,
}

impl<T, R, X, A, M> KeyedService<T, R, X, A, M> {
    pub(super) fn new(inner: T, registry: R, by: X, action: A, mode: M) -> Self {
        Self {
            inner,
            registry,
            by,
            action,
            mode,
            asked: Asked::Nothing,
        }
    }

    /// The registry of the guards.
    pub fn registry(&self) -> &R {
        &self.registry
    }

    /// The service behind the guards.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The service behind the guards. Calling it passes none of them.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// The service behind the guards.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: fmt::Debug, R: fmt::Debug, X, A, M> fmt::Debug for KeyedService<T, R, X, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedService")
            .field("inner", &self.inner)
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}
