//! What a circuit breaker publishes.

use super::{
    ledger::Kind,
    nanos,
    series::{Metric, Series},
};
use crate::{
    Reason, Snapshot, State,
    breaker::{Cause, Control},
};

static STATE: Metric = Metric::count("circuit_breaker_state", "Circuits in this state");
static CONTROL: Metric = Metric::count(
    "circuit_breaker_control",
    "Circuits whose state is decided by this: their rules, or somebody's hand",
);
static DRY_RUN: Metric = Metric::count("circuit_breaker_dry_run", "Circuits in a dry run");
static IN_FLIGHT: Metric = Metric::count(
    "circuit_breaker_calls_in_flight",
    "Calls admitted that have not ended",
);
static TRIALS_IN_FLIGHT: Metric = Metric::count(
    "circuit_breaker_trials_in_flight",
    "Trials of half-open circuits that have no result yet",
);
static ADMITTED: Metric = Metric::count("circuit_breaker_admitted_total", "Calls admitted");
static CALLS: Metric = Metric::count(
    "circuit_breaker_calls_total",
    "Admitted calls that have ended, by outcome",
);
static PANICKED: Metric = Metric::count(
    "circuit_breaker_panicked_calls_total",
    "Failed calls that panicked",
);
static SLOW: Metric = Metric::count(
    "circuit_breaker_slow_calls_total",
    "Ended calls that took longer than the slow-call rules allow",
);
static STALE: Metric = Metric::count(
    "circuit_breaker_stale_calls_total",
    "Ended calls whose result came too late for their episode or lease and decided nothing",
);
static REFUSED: Metric = Metric::count("circuit_breaker_refused_total", "Calls refused, by reason");
static WOULD_REFUSE: Metric = Metric::count(
    "circuit_breaker_would_refuse_total",
    "Calls admitted in a dry run that would have been refused",
);
static TRIALS: Metric = Metric::count(
    "circuit_breaker_trials_total",
    "Trials whose result counted, by outcome",
);
static LEASES_EXPIRED: Metric = Metric::count(
    "circuit_breaker_leases_expired_total",
    "Trials that did not finish within their lease",
);
static TRANSITIONS: Metric = Metric::count(
    "circuit_breaker_transitions_total",
    "Transitions, by the state that ended and the one that began",
);
static OPENED: Metric = Metric::count(
    "circuit_breaker_opened_total",
    "Transitions to open, by cause",
);
static STATE_SECONDS: Metric = Metric::seconds(
    "circuit_breaker_state_seconds_total",
    "Time spent in each state",
);
static OPEN_WHILE_HEALTHY: Metric = Metric::seconds(
    "circuit_breaker_open_while_healthy_seconds_total",
    "Time not closed although the last background check had found the backend healthy",
);

/// A counter of refusals for one reason.
macro_rules! refused {
    ($reason:ident, $field:ident) => {
        Series::new(&REFUSED, &[("reason", Reason::$reason.as_str())], |s| {
            s.refused_by.$field
        })
    };
}

/// A counter of transitions between two states.
macro_rules! moved {
    ($from:ident, $to:ident) => {
        Series::new(
            &TRANSITIONS,
            &[("from", State::$from.as_str()), ("to", State::$to.as_str())],
            |s| s.transition_counts.between(State::$from, State::$to),
        )
    };
}

/// A counter of openings for one cause.
macro_rules! opened {
    ($cause:ident) => {
        Series::new(&OPENED, &[("cause", Cause::$cause.as_str())], |s| {
            s.transition_counts.caused_by(Cause::$cause)
        })
    };
}

/// Time in one state.
macro_rules! spent {
    ($state:ident, $field:ident) => {
        Series::new(&STATE_SECONDS, &[("state", State::$state.as_str())], |s| {
            nanos(s.time_in_state.$field)
        })
    };
}

/// A gauge that is one for a circuit in this state.
macro_rules! is_in {
    ($state:ident) => {
        Series::new(&STATE, &[("state", State::$state.as_str())], |s| {
            one_if(s.state == State::$state)
        })
    };
}

/// A gauge that is one for a circuit that this decides about.
macro_rules! is_under {
    ($control:ident) => {
        Series::new(&CONTROL, &[("control", Control::$control.as_str())], |s| {
            one_if(s.control == Control::$control)
        })
    };
}

pub(super) static BREAKER: Kind<Snapshot> = Kind {
    id: |snapshot| snapshot.id,
    names: &["name"],
    histogram: None,
    counters: &[
        Series::new(&ADMITTED, &[], |s| s.admitted),
        Series::new(&CALLS, &[("outcome", "success")], |s| s.succeeded),
        Series::new(&CALLS, &[("outcome", "failure")], |s| s.failed),
        Series::new(&CALLS, &[("outcome", "ignored")], |s| s.ignored),
        Series::new(&CALLS, &[("outcome", "abandoned")], |s| s.abandoned),
        Series::new(&PANICKED, &[], |s| s.panicked),
        Series::new(&SLOW, &[], |s| s.slow),
        Series::new(&STALE, &[], |s| s.stale),
        refused!(CircuitOpen, circuit_open),
        refused!(HalfOpenFull, half_open_full),
        refused!(ForcedOpen, forced_open),
        refused!(Ramping, ramping),
        Series::new(&WOULD_REFUSE, &[], |s| s.would_refuse),
        Series::new(&TRIALS, &[("outcome", "success")], |s| s.trials_succeeded),
        Series::new(&TRIALS, &[("outcome", "failure")], |s| s.trials_failed),
        Series::new(&LEASES_EXPIRED, &[], |s| s.leases_expired),
        // All there are: nothing goes from closed to half-open, nor from half-open to itself.
        moved!(Closed, Open),
        moved!(Open, HalfOpen),
        moved!(HalfOpen, Closed),
        moved!(HalfOpen, Open),
        moved!(Open, Closed),
        moved!(Closed, Closed),
        moved!(Open, Open),
        opened!(ConsecutiveFailures),
        opened!(FailureRate),
        opened!(SlowCallRate),
        opened!(TrialFailed),
        opened!(LeaseExpired),
        opened!(ForcedOpen),
        spent!(Closed, closed),
        spent!(Open, open),
        spent!(HalfOpen, half_open),
        Series::new(&OPEN_WHILE_HEALTHY, &[], |s| nanos(s.open_while_healthy)),
    ],
    gauges: &[
        is_in!(Closed),
        is_in!(Open),
        is_in!(HalfOpen),
        is_under!(Automatic),
        is_under!(ForcedOpen),
        is_under!(ForcedClosed),
        is_under!(Disabled),
        Series::new(&DRY_RUN, &[], |s| one_if(s.dry_run)),
        Series::new(&IN_FLIGHT, &[], |s| {
            let ended = s.succeeded + s.failed + s.ignored + s.abandoned;
            s.admitted.saturating_sub(ended) as f64
        }),
        Series::new(&TRIALS_IN_FLIGHT, &[], |s| f64::from(s.trials_in_flight)),
    ],
};

fn one_if(it_is_so: bool) -> f64 {
    f64::from(u8::from(it_is_so))
}
