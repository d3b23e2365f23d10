//! The handle.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher, Hasher},
    sync::Arc,
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    builder::{CircuitBreakerBuilder, Parts},
    counters::Counters,
    events::Events,
    journal::Journal,
    machine::{Machine, Manual},
    permit::{Admission, Permit},
    policy::{Abandoned, nanos},
    shared::{Shared, Ways},
    snapshot::Snapshot,
    transition::{State, Transition},
};
use crate::{Refused, id, ownership::Owner};

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
    pub(super) shared: Owner<Shared>,
}

impl CircuitBreaker {
    /// Begins a circuit breaker. The name shows in refusals, events and snapshots.
    pub fn builder(name: impl Into<Arc<str>>) -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::new(name.into())
    }

    pub(super) fn assemble(parts: Parts) -> Self {
        let times_calls = parts.policy.slow_call.is_some()
            || matches!(parts.on_abandoned, Abandoned::FailureAfter(_));
        // The standard library's only source of chance: two circuits must not wait in step.
        let seed = RandomState::new().build_hasher().finish();
        let slow_call = parts.policy.slow_call.unwrap_or(u64::MAX);
        let machine = Machine::new(parts.policy, seed);
        let journal = Journal::new(parts.listeners, parts.time.instant());
        Self {
            shared: Owner::new(Shared {
                times_calls,
                reads_the_end: slow_call < u64::MAX || machine.reads_the_clock(),
                slow_call,
                machine,
                counters: Counters::new(parts.compact),
                on_abandoned: parts.on_abandoned,
                recovery: parts.recovery,
                ways: Ways::new(parts.dry_run, &parts.time),
                label: parts.label,
                id: id::next(),
                journal,
                time: parts.time,
                changed: Notify::new(),
            }),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.shared.label.name()
    }

    /// The state. An open circuit whose wait is over stays open until a call, a background check, or the timer of
    /// [`Recovery::Timed`](super::Recovery::Timed) comes.
    pub fn state(&self) -> State {
        self.shared.machine.state()
    }

    /// Asks for permission for one call. The permit takes its result.
    #[inline(always)]
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

    /// Every transition from now on, as a stream.
    pub fn events(&self) -> Events {
        Events::new(self.shared.journal.subscribe())
    }

    /// Tells what a check of the backend's health has found just now, whoever made it. It decides nothing; the time for which the
    /// circuit stays open although the backend is well is [`Snapshot::open_while_healthy`]. The checks of
    /// [`probe_forever`](Self::probe_forever) do it by themselves.
    pub fn report_health(&self, is_healthy: bool) {
        let now = self.shared.instant(self.shared.now());
        self.shared.journal.report_health(now, is_healthy);
    }

    /// Opens the circuit and holds it open, until one of the other methods says otherwise.
    pub fn force_open(&self) {
        self.shared.manual(Manual::ForceOpen);
    }

    /// Opens the circuit for this long. Then a trial decides, as after any open wait.
    pub fn force_open_for(&self, wait: Duration) {
        self.shared.manual(Manual::ForceOpenFor(nanos(wait)));
    }

    /// Closes the circuit and holds it closed whatever the results, until one of the other methods says otherwise.
    pub fn force_closed(&self) {
        self.shared.manual(Manual::ForceClosed);
    }

    /// As [`force_closed`](Self::force_closed), for this long. Then its rules apply again, from the next call on.
    pub fn force_closed_for(&self, time: Duration) {
        self.shared.manual(Manual::ForceClosedFor(nanos(time)));
    }

    /// Switches the circuit off: everything passes, as if it were not there, until one of the other methods says otherwise.
    /// Only the totals go on. Unlike [`force_closed`](Self::force_closed) it says that this is meant to last, and dashboards
    /// show it ([`Control::Disabled`](super::Control::Disabled)).
    pub fn disable(&self) {
        self.shared.manual(Manual::Disable);
    }

    /// Closes the circuit, lets it work by its rules again, and begins them afresh: failures so far, in whatever state, are
    /// forgotten. Totals are kept.
    pub fn reset(&self) {
        self.shared.manual(Manual::Reset);
    }

    /// Ends the wait of an open circuit, also of one held open: the next call, or check, is a trial. Gives `false`, and
    /// changes nothing, if the circuit is not open.
    pub fn half_open(&self) -> bool {
        self.shared.manual(Manual::HalfOpen)
    }

    /// Begins or ends a dry run, in which the circuit does everything but refuse: what it would have refused is admitted, decides
    /// nothing, and is counted ([`Snapshot::would_refuse`]).
    pub fn set_dry_run(&self, dry_run: bool) {
        self.shared.ways.set_dry_run(dry_run);
        self.shared.changed.notify_waiters();
    }

    /// Whether it is a dry run.
    pub fn is_dry_run(&self) -> bool {
        self.shared.is_dry_run()
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
