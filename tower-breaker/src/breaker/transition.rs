//! States, and the change from one to the next.

use std::{fmt, sync::Arc, time::Instant};

/// The state of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls pass, and their results are counted.
    Closed,
    /// Calls are refused.
    Open,
    /// A few trial calls pass; their results decide.
    HalfOpen,
}

impl State {
    /// `CLOSED`, `OPEN` or `HALF_OPEN`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why the state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// As many calls failed in a row as the rule allows.
    ConsecutiveFailures,
    /// The failure rate reached its threshold.
    FailureRate,
    /// The open wait was over when a call, or a background check, came.
    WaitElapsed,
    /// As many trial calls succeeded as it takes.
    TrialsSucceeded,
    /// A trial call failed.
    TrialFailed,
    /// [`CircuitBreaker::force_open`](super::CircuitBreaker::force_open).
    ForcedOpen,
    /// [`CircuitBreaker::force_closed`](super::CircuitBreaker::force_closed).
    ForcedClosed,
    /// [`CircuitBreaker::reset`](super::CircuitBreaker::reset).
    Reset,
}

impl Cause {
    /// A short, stable name for logs and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRate => "failure_rate",
            Self::WaitElapsed => "wait_elapsed",
            Self::TrialsSucceeded => "trials_succeeded",
            Self::TrialFailed => "trial_failed",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One change of state, as listeners get it.
///
/// What is done by hand is one even where it leaves the state as it is (a reset of a closed circuit, an open one forced open): it
/// begins a new episode.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Transition {
    /// The circuit's name.
    pub name: Arc<str>,
    /// The state that ended.
    pub from: State,
    /// The state that began.
    pub to: State,
    /// The number of the episode that began: one more with every transition, from 1.
    pub generation: u64,
    /// When, on the circuit's clock. Never earlier than the transition before.
    pub at: Instant,
    /// Why.
    pub cause: Cause,
}
