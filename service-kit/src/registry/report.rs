//! Guards as JSON.

use serde::Serialize;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tower_breaker::breaker::{RateKind, WindowSnapshot};
use tower_breaker::{Bulkhead, CircuitBreaker, Transition};

/// The state of all registered guards.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The circuit breakers.
    pub breakers: Vec<BreakerReport>,
    /// The bulkheads.
    pub bulkheads: Vec<BulkheadReport>,
}

/// The state of one circuit breaker; the fields are those of [`tower_breaker::Snapshot`].
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
    /// Whether `control` is anything but `automatic`.
    pub held: bool,
    /// `automatic`, `forced_open`, `forced_closed` or `disabled`.
    pub control: &'static str,
    pub dry_run: bool,
    pub generation: u64,
    pub consecutive_failures: u32,
    /// The first failure-rate rule's window.
    pub window: Option<WindowReport>,
    /// Every rate rule's window.
    pub windows: Vec<RateReport>,
    pub open_remaining_ms: Option<u64>,
    pub recovery_attempt: u32,
    pub trials_in_flight: u32,
    pub trial_successes: u32,
    pub trial_failures: u32,
    pub admitted: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub ignored: u64,
    pub abandoned: u64,
    pub slow: u64,
    pub refused: u64,
    pub would_refuse: u64,
    pub stale: u64,
    pub trials_succeeded: u64,
    pub trials_failed: u64,
    pub trial_success_rate: Option<f64>,
    pub leases_expired: u64,
    pub transition_count: u64,
    pub time_in_state_ms: TimeInStateReport,
    pub open_while_healthy_ms: u64,
    /// The latest transitions, oldest first.
    pub transitions: Vec<TransitionReport>,
}

/// The calls a failure-rate rule looks at.
#[derive(Debug, Clone, Serialize)]
pub struct WindowReport {
    /// Calls in the window.
    pub calls: u32,
    /// Failures among them.
    pub failures: u32,
    /// Failures per call; `null` below the rule's minimum of calls.
    pub rate: Option<f64>,
}

/// The calls a rate rule looks at.
#[derive(Debug, Clone, Serialize)]
pub struct RateReport {
    /// What the rule counts: `failures` or `slow_calls`.
    pub kind: &'static str,
    /// Calls in the window.
    pub calls: u32,
    /// Failures, or slow calls, among them.
    pub hits: u32,
    /// Hits per call; `null` below the rule's minimum of calls.
    pub rate: Option<f64>,
}

/// Milliseconds spent in each state.
#[derive(Debug, Clone, Serialize)]
pub struct TimeInStateReport {
    /// In `CLOSED`.
    pub closed: u64,
    /// In `OPEN`.
    pub open: u64,
    /// In `HALF_OPEN`.
    pub half_open: u64,
}

/// One change of state.
#[derive(Debug, Clone, Serialize)]
pub struct TransitionReport {
    /// The state that ended.
    pub from: &'static str,
    /// The state that began.
    pub to: &'static str,
    /// When.
    pub at_unix_ms: u64,
    /// Why.
    pub cause: String,
    /// The number of the episode that began.
    pub generation: u64,
}

/// The state of one bulkhead; the fields are those of [`tower_breaker::bulkhead::Snapshot`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are those of `tower_breaker::bulkhead::Snapshot` and described there"
)]
pub struct BulkheadReport {
    pub name: String,
    pub max_concurrent: usize,
    pub max_queue: usize,
    pub max_wait_ms: Option<u64>,
    pub in_flight: usize,
    pub queued: usize,
    pub admitted: u64,
    pub refused_full: u64,
    pub refused_queue_full: u64,
    pub refused_waited_too_long: u64,
}

/// Turns the monotonic clock's readings into dates. One pair of readings for the whole life of the process, so that the
/// same transition always has the same date, and dates are in the order of the transitions even if the wall clock is set.
#[derive(Debug)]
pub(super) struct Calendar {
    instant: Instant,
    time: SystemTime,
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            instant: tokio::time::Instant::now().into_std(),
            time: SystemTime::now(),
        }
    }
}

impl Calendar {
    fn unix_ms(&self, at: Instant) -> u64 {
        let time = match at.checked_duration_since(self.instant) {
            Some(after) => self.time + after,
            None => self.time - self.instant.duration_since(at),
        };
        millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl BreakerReport {
    pub(super) fn of(breaker: &CircuitBreaker, calendar: &Calendar) -> Self {
        let snapshot = breaker.snapshot();
        let transitions = breaker.recent_transitions();
        Self {
            name: snapshot.name.to_string(),
            state: snapshot.state.as_str(),
            held: snapshot.control.is_held(),
            control: snapshot.control.as_str(),
            dry_run: snapshot.dry_run,
            generation: snapshot.generation,
            consecutive_failures: snapshot.consecutive_failures,
            window: snapshot
                .windows
                .iter()
                .find(|window| window.kind == RateKind::Failures)
                .map(WindowReport::of),
            windows: snapshot.windows.iter().map(RateReport::of).collect(),
            open_remaining_ms: snapshot.open_remaining.map(millis),
            recovery_attempt: snapshot.recovery_attempt,
            trials_in_flight: snapshot.trials_in_flight,
            trial_successes: snapshot.trial_successes,
            trial_failures: snapshot.trial_failures,
            admitted: snapshot.admitted,
            succeeded: snapshot.succeeded,
            failed: snapshot.failed,
            ignored: snapshot.ignored,
            abandoned: snapshot.abandoned,
            slow: snapshot.slow,
            refused: snapshot.refused,
            would_refuse: snapshot.would_refuse,
            stale: snapshot.stale,
            trials_succeeded: snapshot.trials_succeeded,
            trials_failed: snapshot.trials_failed,
            trial_success_rate: snapshot.trial_success_rate,
            leases_expired: snapshot.leases_expired,
            transition_count: snapshot.transitions,
            time_in_state_ms: TimeInStateReport {
                closed: millis(snapshot.time_in_state.closed),
                open: millis(snapshot.time_in_state.open),
                half_open: millis(snapshot.time_in_state.half_open),
            },
            open_while_healthy_ms: millis(snapshot.open_while_healthy),
            transitions: transitions
                .iter()
                .map(|transition| TransitionReport::of(transition, calendar))
                .collect(),
        }
    }
}

impl WindowReport {
    fn of(window: &WindowSnapshot) -> Self {
        Self {
            calls: window.calls,
            failures: window.hits,
            rate: window.rate,
        }
    }
}

impl RateReport {
    fn of(window: &WindowSnapshot) -> Self {
        Self {
            kind: window.kind.as_str(),
            calls: window.calls,
            hits: window.hits,
            rate: window.rate,
        }
    }
}

impl TransitionReport {
    fn of(transition: &Transition, calendar: &Calendar) -> Self {
        Self {
            from: transition.from.as_str(),
            to: transition.to.as_str(),
            at_unix_ms: calendar.unix_ms(transition.at),
            cause: transition.cause.to_string(),
            generation: transition.generation,
        }
    }
}

impl BulkheadReport {
    pub(super) fn of(bulkhead: &Bulkhead) -> Self {
        let snapshot = bulkhead.snapshot();
        Self {
            name: snapshot.name.to_string(),
            max_concurrent: snapshot.max_concurrent,
            max_queue: snapshot.max_queue,
            max_wait_ms: snapshot.max_wait.map(millis),
            in_flight: snapshot.in_flight,
            queued: snapshot.queued,
            admitted: snapshot.admitted,
            refused_full: snapshot.refused.full,
            refused_queue_full: snapshot.refused.queue_full,
            refused_waited_too_long: snapshot.refused.waited_too_long,
        }
    }
}
