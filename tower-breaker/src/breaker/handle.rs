//! The handle.

use std::{fmt, sync::Arc};

use super::{
    builder::CircuitBreakerBuilder,
    machine::Manual,
    permit::{Admission, Permit},
    shared::Shared,
    snapshot::Snapshot,
    transition::{State, Transition},
};
use crate::Refused;

/// A named circuit breaker. Clones share the one circuit.
///
/// Usable by itself, around anything that may fail:
///
/// ```
/// use tower_breaker::{CircuitBreaker, State};
///
/// let breaker = CircuitBreaker::builder("disk").consecutive_failures(2).build()?;
/// for _ in 0..2 {
///     let permit = breaker.try_acquire()?;
///     match std::fs::read("/nowhere/to/be/found") {
///         Ok(_) => permit.success(),
///         Err(_) => permit.failure(),
///     }
/// }
/// assert_eq!(breaker.state(), State::Open);
/// assert!(breaker.try_acquire().is_err());
/// # Ok::<(), tower_breaker::BoxError>(())
/// ```
///
/// In front of a tower service, see [`CircuitBreakerLayer`](super::CircuitBreakerLayer).
#[derive(Clone)]
pub struct CircuitBreaker {
    pub(super) shared: Arc<Shared>,
}

impl CircuitBreaker {
    /// Begins a circuit breaker. The name shows in refusals, events and snapshots.
    pub fn builder(name: impl Into<Arc<str>>) -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::new(name.into())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The state. An open circuit whose wait is over stays open until a call, or a background check, comes.
    pub fn state(&self) -> State {
        self.shared.machine.state()
    }

    /// Asks for permission for one call. The permit takes its result.
    pub fn try_acquire(&self) -> Result<Permit, Refused> {
        Admission::acquire(&self.shared).map(Permit::new)
    }

    /// Asks for permission for one trial: if the open wait is over, or the circuit is half-open with a slot free. `None`
    /// otherwise, and when the circuit is closed and needs no trial.
    ///
    /// With [`Recovery::Probed`](super::Recovery::Probed) this is the only way to a trial.
    pub fn try_trial(&self) -> Option<Permit> {
        Admission::trial(&self.shared).map(Permit::new)
    }

    /// Everything there is to know about the circuit at this moment.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// The last transitions, oldest first. The last 64 are remembered.
    pub fn recent_transitions(&self) -> Vec<Transition> {
        self.shared.journal.recent()
    }

    /// Opens the circuit and holds it open, until [`force_closed`](Self::force_closed) or [`reset`](Self::reset).
    pub fn force_open(&self) {
        self.shared.manual(Manual::ForceOpen);
    }

    /// Closes the circuit and holds it closed whatever the results, until [`force_open`](Self::force_open) or
    /// [`reset`](Self::reset).
    pub fn force_closed(&self) {
        self.shared.manual(Manual::ForceClosed);
    }

    /// Closes the circuit, lets it work by its rules again, and begins them afresh: failures so far, in whatever state, are
    /// forgotten. Totals are kept.
    pub fn reset(&self) {
        self.shared.manual(Manual::Reset);
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
