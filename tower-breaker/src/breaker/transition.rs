//! States, and the change from one to the next.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

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
    /// The rate of slow calls reached its threshold.
    SlowCallRate,
    /// The open wait was over when a call, or a background check, came.
    WaitElapsed,
    /// As many trial calls succeeded as it takes.
    TrialsSucceeded,
    /// A trial call failed, or as many as decide it.
    TrialFailed,
    /// A trial did not finish within its lease.
    LeaseExpired,
    /// [`CircuitBreaker::half_open`](super::CircuitBreaker::half_open).
    WaitEndedByHand,
    /// [`CircuitBreaker::force_open`](super::CircuitBreaker::force_open), also for a time.
    ForcedOpen,
    /// [`CircuitBreaker::force_closed`](super::CircuitBreaker::force_closed), also for a time.
    ForcedClosed,
    /// The time for which the circuit was forced closed is over; its rules apply again.
    HoldElapsed,
    /// [`CircuitBreaker::disable`](super::CircuitBreaker::disable).
    Disabled,
    /// [`CircuitBreaker::reset`](super::CircuitBreaker::reset).
    Reset,
}

impl Cause {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Reset as usize + 1;

    /// A short, stable name for logs and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRate => "failure_rate",
            Self::SlowCallRate => "slow_call_rate",
            Self::WaitElapsed => "wait_elapsed",
            Self::TrialsSucceeded => "trials_succeeded",
            Self::TrialFailed => "trial_failed",
            Self::LeaseExpired => "lease_expired",
            Self::WaitEndedByHand => "wait_ended_by_hand",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
            Self::HoldElapsed => "hold_elapsed",
            Self::Disabled => "disabled",
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
    /// What happened in the episode that ended.
    pub ended: Episode,
}

/// What happened between one transition and the next.
///
/// Calls are counted where they happened: one that was admitted in an earlier episode and failed in this one is among this one's
/// failures. While calls run on other threads, one may be counted an episode late, never twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Episode {
    /// How long it lasted, on the circuit's clock.
    pub lasted: Duration,
    /// Calls admitted.
    pub admitted: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that took longer than the slow-call rules allow.
    pub slow: u64,
    /// Calls refused.
    pub refused: u64,
    /// Calls admitted in a dry run that would have been refused.
    pub would_refuse: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_causes_are_shown_as_their_names() {
        assert_eq!(format!("{:>7}|", State::Open), "   OPEN|");
        assert_eq!(State::Closed.to_string(), State::Closed.as_str());
        assert_eq!(Cause::WaitEndedByHand.to_string(), "wait_ended_by_hand");
    }
}
