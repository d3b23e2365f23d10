//! A circuit at one moment.

use std::{sync::Arc, time::Duration};

use super::State;

/// A circuit at one moment: its state, what its rules see, and exact totals since it was built.
///
/// Every admitted call ends as exactly one of `succeeded`, `failed`, `ignored` or `abandoned`, so what `admitted` exceeds
/// their sum by is in flight. While calls run, the fields are read one after the other and may be a few calls apart.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// The circuit's name.
    pub name: Arc<str>,
    /// The state. An open circuit whose wait is over stays open until a call, or a background check, comes.
    pub state: State,
    /// Whether the state was set by hand and holds until told otherwise.
    pub held: bool,
    /// The number of the current episode: one more with every transition.
    pub generation: u64,
    /// How many calls in a row have failed; 0 unless closed.
    pub consecutive_failures: u32,
    /// What the failure-rate rule sees; `None` without such a rule.
    pub window: Option<WindowSnapshot>,
    /// What is left of the open wait, zero when it is over; `None` unless open, and while held open.
    pub open_remaining: Option<Duration>,
    /// Trials admitted in this half-open episode that have no result yet.
    pub trials_in_flight: u32,
    /// Trials of this half-open episode that have succeeded.
    pub trial_successes: u32,
    /// Calls admitted.
    pub admitted: u64,
    /// Admitted calls that succeeded.
    pub succeeded: u64,
    /// Admitted calls that failed. Includes panics, and errors of the inner service's readiness.
    pub failed: u64,
    /// Admitted calls whose result was ignored.
    pub ignored: u64,
    /// Admitted calls that were given up before they had a result.
    pub abandoned: u64,
    /// Calls refused.
    pub refused: u64,
    /// Of the admitted calls that have ended: those whose result came too late for the episode that admitted them, and so
    /// decided nothing.
    pub stale: u64,
    /// Trials whose success counted.
    pub trials_succeeded: u64,
    /// Trials whose failure, or abandonment that counts as one, opened the circuit again.
    pub trials_failed: u64,
    /// Transitions made.
    pub transitions: u64,
    /// Time spent in each state, up to now.
    pub time_in_state: TimeInState,
}

/// What the failure-rate rule sees.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct WindowSnapshot {
    /// Calls in the window.
    pub calls: u32,
    /// Failures among them.
    pub failures: u32,
    /// Failures per call; undefined below the rule's minimum of calls.
    pub rate: Option<f64>,
}

/// Time spent in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeInState {
    /// Closed.
    pub closed: Duration,
    /// Open.
    pub open: Duration,
    /// Half-open.
    pub half_open: Duration,
}
