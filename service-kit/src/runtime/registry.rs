//! The guards of a process, for `/breakers`, `/metrics` and services that show them to users.

use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tower_breaker::{CircuitBreaker, Snapshot, Transition};

/// The registered guards. Clones are one registry.
#[derive(Debug, Clone)]
pub struct BreakerRegistry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    guards: Mutex<Guards>,
    /// One pair of readings for the whole life of the process, so that the same transition always has the same time.
    anchor: (Instant, SystemTime),
}

#[derive(Debug, Default)]
struct Guards {
    breakers: Vec<CircuitBreaker>,
}

impl Default for BreakerRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl BreakerRegistry {
    /// An empty registry.
    pub fn new() -> Self {
        let inner = Inner {
            guards: Mutex::default(),
            anchor: (tokio::time::Instant::now().into_std(), SystemTime::now()),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Adds a breaker; one of the same name is replaced.
    pub fn register_breaker(&self, breaker: &CircuitBreaker) {
        let mut guards = self.guards();
        guards
            .breakers
            .retain(|known| known.name() != breaker.name());
        guards.breakers.push(breaker.clone());
    }

    /// The breakers, in the order of their registration.
    pub fn breakers(&self) -> Vec<CircuitBreaker> {
        self.guards().breakers.clone()
    }

    /// What `GET /breakers` answers.
    pub fn report(&self) -> Report {
        let breakers = self.breakers();
        Report {
            breakers: breakers
                .iter()
                .map(|breaker| self.breaker_report(breaker))
                .collect(),
        }
    }

    fn guards(&self) -> MutexGuard<'_, Guards> {
        self.inner
            .guards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker_report(&self, breaker: &CircuitBreaker) -> BreakerReport {
        let transitions = breaker.recent_transitions();
        BreakerReport::new(
            breaker.snapshot(),
            transitions
                .iter()
                .map(|transition| self.transition_report(transition))
                .collect(),
        )
    }

    fn transition_report(&self, transition: &Transition) -> TransitionReport {
        let (instant, time) = self.inner.anchor;
        let at = match transition.at.checked_duration_since(instant) {
            Some(after) => time + after,
            None => time - instant.duration_since(transition.at),
        };
        TransitionReport {
            from: transition.from.as_str(),
            to: transition.to.as_str(),
            at_unix_ms: millis(at.duration_since(UNIX_EPOCH).unwrap_or_default()),
            cause: transition.cause.to_string(),
            generation: transition.generation,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The state of all registered guards.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The circuit breakers.
    pub breakers: Vec<BreakerReport>,
}

/// The state of one circuit breaker.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are those of `tower_breaker::Snapshot` and described there"
)]
pub struct BreakerReport {
    pub name: String,
    /// `CLOSED`, `OPEN` or `HALF_OPEN`.
    pub state: &'static str,
    pub held: bool,
    pub generation: u64,
    pub consecutive_failures: u32,
    pub window: Option<WindowReport>,
    pub open_remaining_ms: Option<u64>,
    pub trials_in_flight: u32,
    pub trial_successes: u32,
    pub admitted: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub ignored: u64,
    pub abandoned: u64,
    pub refused: u64,
    pub stale: u64,
    pub trials_succeeded: u64,
    pub trials_failed: u64,
    pub transition_count: u64,
    pub time_in_state_ms: TimeInStateReport,
    /// The latest, oldest first.
    pub transitions: Vec<TransitionReport>,
}

/// The calls a failure-rate rule looks at.
#[derive(Debug, Clone, Serialize)]
#[allow(
    missing_docs,
    reason = "the fields are those of `tower_breaker::breaker::WindowSnapshot` and described there"
)]
pub struct WindowReport {
    pub calls: u32,
    pub failures: u32,
    pub rate: Option<f64>,
}

/// Milliseconds spent in each state.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct TimeInStateReport {
    pub closed: u64,
    pub open: u64,
    pub half_open: u64,
}

/// One change of state.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct TransitionReport {
    pub from: &'static str,
    pub to: &'static str,
    pub at_unix_ms: u64,
    pub cause: String,
    pub generation: u64,
}

impl BreakerReport {
    fn new(snapshot: Snapshot, transitions: Vec<TransitionReport>) -> Self {
        Self {
            name: snapshot.name.to_string(),
            state: snapshot.state.as_str(),
            held: snapshot.held,
            generation: snapshot.generation,
            consecutive_failures: snapshot.consecutive_failures,
            window: snapshot.window.map(|window| WindowReport {
                calls: window.calls,
                failures: window.failures,
                rate: window.rate,
            }),
            open_remaining_ms: snapshot.open_remaining.map(millis),
            trials_in_flight: snapshot.trials_in_flight,
            trial_successes: snapshot.trial_successes,
            admitted: snapshot.admitted,
            succeeded: snapshot.succeeded,
            failed: snapshot.failed,
            ignored: snapshot.ignored,
            abandoned: snapshot.abandoned,
            refused: snapshot.refused,
            stale: snapshot.stale,
            trials_succeeded: snapshot.trials_succeeded,
            trials_failed: snapshot.trials_failed,
            transition_count: snapshot.transitions,
            time_in_state_ms: TimeInStateReport {
                closed: millis(snapshot.time_in_state.closed),
                open: millis(snapshot.time_in_state.open),
                half_open: millis(snapshot.time_in_state.half_open),
            },
            transitions,
        }
    }
}
