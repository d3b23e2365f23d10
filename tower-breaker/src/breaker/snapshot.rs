//! A circuit at one moment.

use std::{sync::Arc, time::Duration};

use super::{
    Cause, State, Transition,
    counters::Count,
    policy::Kind,
    shared::Shared,
    word::{Duty, Phase},
};

/// A circuit at one moment: its state, what its rules see, and exact totals since it was built.
///
/// Every admitted call ends as exactly one of `succeeded`, `failed`, `ignored` or `abandoned`, so what `admitted` exceeds
/// their sum by is in flight. While calls run, the fields are read one after the other and may be a few calls apart.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// Tells circuits of this process apart that have the same name, also when one comes after the other.
    pub id: u64,
    /// The circuit's name.
    pub name: Arc<str>,
    /// The state. An open circuit whose wait is over stays open until a call, a background check, or the timer of
    /// [`Recovery::Timed`](super::Recovery::Timed) comes.
    pub state: State,
    /// Whether the rules decide, or somebody's hand.
    pub control: Control,
    /// Whether it is a dry run: nothing is refused, `would_refuse` counts.
    pub dry_run: bool,
    /// The number of the current episode: one more with every transition.
    pub generation: u64,
    /// How many calls in a row have failed; 0 unless closed.
    pub consecutive_failures: u32,
    /// What each rate rule sees, in the order in which the rules were given. While the circuit is not closed, what they saw last
    /// (windows of time go on); they begin afresh when it closes. The result that opened the circuit has been recorded up to the
    /// window whose rule it broke.
    pub windows: Vec<WindowSnapshot>,
    /// What is left of the open wait, zero when it is over; `None` unless open, and while held open.
    pub open_remaining: Option<Duration>,
    /// How many recoveries had failed in a row when the circuit opened, up to 63; 0 while closed.
    pub recovery_attempt: u32,
    /// Trials admitted in this half-open episode that have no result yet.
    pub trials_in_flight: u32,
    /// Trials of this half-open episode that have succeeded.
    pub trial_successes: u32,
    /// Trials of this half-open episode that have failed.
    pub trial_failures: u32,
    /// Calls admitted.
    pub admitted: u64,
    /// Admitted calls that succeeded.
    pub succeeded: u64,
    /// Admitted calls that failed. Includes panics, and errors of the inner service's readiness.
    pub failed: u64,
    /// Of the failed calls: those that panicked.
    pub panicked: u64,
    /// Admitted calls whose result was ignored.
    pub ignored: u64,
    /// Admitted calls that were given up before they had a result.
    pub abandoned: u64,
    /// Of the admitted calls that have ended: those that took longer than the slow-call rules allow. Stale ones are among them; ignored
    /// ones are not, nor are abandoned ones where that means nothing.
    pub slow: u64,
    /// Calls refused.
    pub refused: u64,
    /// The refused calls by reason.
    pub refused_by: Refusals,
    /// Calls admitted in a dry run that would have been refused.
    pub would_refuse: u64,
    /// Of the admitted calls that have ended: those whose result came too late for the episode that admitted them, or for
    /// their lease, and so decided nothing.
    pub stale: u64,
    /// Trials whose success counted.
    pub trials_succeeded: u64,
    /// Trials whose failure counted, or their slowness, abandonment or expired lease where that is one.
    pub trials_failed: u64,
    /// Successes among the trials that counted; undefined before there is one.
    pub trial_success_rate: Option<f64>,
    /// Trials that did not finish within their lease.
    pub leases_expired: u64,
    /// Transitions made.
    pub transitions: u64,
    /// The transitions by their states, and by cause.
    pub transition_counts: TransitionCounts,
    /// Time spent in each state, up to now.
    pub time_in_state: TimeInState,
    /// Of the time since the circuit opened until it closed, half-open included: while the last background check since the opening
    /// had found the backend healthy. See
    /// [`report_health`](super::CircuitBreaker::report_health).
    pub open_while_healthy: Duration,
}

/// Refused calls by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// [`Reason::CircuitOpen`](crate::Reason::CircuitOpen)
    pub circuit_open: u64,
    /// [`Reason::HalfOpenFull`](crate::Reason::HalfOpenFull)
    pub half_open_full: u64,
    /// [`Reason::ForcedOpen`](crate::Reason::ForcedOpen)
    pub forced_open: u64,
    /// [`Reason::Ramping`](crate::Reason::Ramping)
    pub ramping: u64,
}

impl Refusals {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.circuit_open + self.half_open_full + self.forced_open + self.ramping
    }
}

/// How often a circuit went from each state to each, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransitionCounts {
    between: [[u64; 3]; 3],
    by_cause: [u64; Cause::COUNT],
}

impl TransitionCounts {
    /// Transitions from one state to another. From a state to itself are those made by hand, and the end of a hold.
    pub fn between(&self, from: State, to: State) -> u64 {
        self.between[from as usize][to as usize]
    }

    /// Transitions for this cause.
    pub fn caused_by(&self, cause: Cause) -> u64 {
        self.by_cause[cause as usize]
    }

    pub(super) fn add(&mut self, transition: &Transition) {
        self.between[transition.from as usize][transition.to as usize] += 1;
        self.by_cause[transition.cause as usize] += 1;
    }
}

/// Who decides about a circuit's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Control {
    /// Its rules.
    Automatic,
    /// Held open by hand.
    ForcedOpen,
    /// Held closed by hand, perhaps for a time.
    ForcedClosed,
    /// Switched off: everything passes.
    Disabled,
}

impl Control {
    /// Whether it is not the rules.
    pub const fn is_held(self) -> bool {
        !matches!(self, Self::Automatic)
    }

    /// A short, stable name for logs and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
            Self::Disabled => "disabled",
        }
    }
}

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RateKind {
    /// Failed calls.
    Failures,
    /// Slow calls.
    SlowCalls,
}

impl RateKind {
    /// A short, stable name for logs and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::SlowCalls => "slow_calls",
        }
    }
}

/// What a rate rule sees.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct WindowSnapshot {
    /// What the rule counts.
    pub kind: RateKind,
    /// Calls in the window.
    pub calls: u32,
    /// Failures, or slow calls, among them.
    pub hits: u32,
    /// Hits per call; undefined below the rule's minimum of calls.
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

impl Shared {
    pub(super) fn snapshot(&self) -> Snapshot {
        let now = self.now();
        let view = self.machine.view(now);
        let windows = view
            .readings
            .iter()
            .map(|(rule, calls, hits)| WindowSnapshot {
                kind: match rule.kind {
                    Kind::Failures => RateKind::Failures,
                    Kind::Slow => RateKind::SlowCalls,
                },
                calls: *calls,
                hits: *hits,
                rate: rule.rate(*calls, *hits),
            })
            .collect();
        let count = |count| self.counters.get(count);
        let panicked = count(Count::Panicked);
        let (succeeded, failed, ignored, abandoned) = (
            count(Count::Succeeded),
            count(Count::Failed),
            count(Count::Ignored),
            count(Count::Abandoned),
        );
        let (trials_succeeded, trials_failed) =
            (count(Count::TrialSucceeded), count(Count::TrialFailed));
        let trials = trials_succeeded + trials_failed;
        let refused_by = self.counters.refusals();
        let mut snapshot = Snapshot {
            id: self.id,
            name: self.label.name().clone(),
            state: State::Closed,
            control: Control::Automatic,
            dry_run: self.is_dry_run(),
            generation: u64::from(view.generation),
            consecutive_failures: 0,
            windows,
            open_remaining: None,
            recovery_attempt: 0,
            trials_in_flight: 0,
            trial_successes: 0,
            trial_failures: 0,
            // Read after the endings: whatever has ended among them has been admitted here.
            admitted: count(Count::Admitted),
            succeeded,
            failed,
            panicked,
            ignored,
            abandoned,
            slow: count(Count::Slow),
            refused: refused_by.total(),
            refused_by,
            would_refuse: count(Count::WouldRefuse),
            stale: count(Count::Stale),
            trials_succeeded,
            trials_failed,
            trial_success_rate: (trials > 0).then(|| trials_succeeded as f64 / trials as f64),
            leases_expired: count(Count::LeaseExpired),
            transitions: self.journal.total(),
            transition_counts: self.journal.counts(),
            time_in_state: self.journal.time_in_state(self.instant(now)),
            open_while_healthy: self.journal.open_while_healthy(self.instant(now)),
        };
        match view.phase {
            Phase::Closed { failures, duty, .. } => {
                snapshot.consecutive_failures = failures;
                snapshot.control = match duty {
                    Duty::Rules | Duty::Ramp => Control::Automatic,
                    Duty::Hold | Duty::HoldUntil { .. } => Control::ForcedClosed,
                    Duty::Disabled => Control::Disabled,
                };
            }
            Phase::Open { held, attempt, .. } => {
                snapshot.state = State::Open;
                snapshot.recovery_attempt = attempt;
                if held {
                    snapshot.control = Control::ForcedOpen;
                }
                snapshot.open_remaining = view
                    .until
                    .map(|until| Duration::from_nanos(until.saturating_sub(now)));
            }
            Phase::HalfOpen {
                in_flight,
                successes,
                failures,
                attempt,
            } => {
                snapshot.state = State::HalfOpen;
                snapshot.recovery_attempt = attempt;
                snapshot.trials_in_flight = in_flight;
                snapshot.trial_successes = successes;
                snapshot.trial_failures = failures;
            }
        }
        snapshot
    }
}
