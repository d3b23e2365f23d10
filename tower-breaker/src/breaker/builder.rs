//! Building a circuit breaker: every option, and the check that the whole makes sense.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::{
    clock::{Clock, TokioClock},
    counters::Counters,
    handle::CircuitBreaker,
    journal::{Journal, Listener},
    machine::Machine,
    policy::{Abandoned, Policy, RateRule, Recovery},
    shared::Shared,
    transition::Transition,
    window::MAX_CALLS,
    word::MAX_TRIALS,
};
use crate::{BuildError, Problem};

const MAX_CONSECUTIVE_FAILURES: u32 = 1_000_000;
const MIN_OPEN: Duration = Duration::from_millis(1);
const MAX_OPEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Opens the circuit when too large a share of the last calls failed.
///
/// The window really slides: each result beyond its size pushes out the oldest one. It begins empty whenever the circuit
/// closes. The rule is evaluated after every recorded result, a success too, since one may complete the minimum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailureRate {
    calls: u32,
    threshold: f64,
    minimum_calls: Option<u32>,
}

impl FailureRate {
    /// Looks at the last `calls` calls, 1 to 100,000. Takes four bytes of memory for each.
    pub fn over_calls(calls: u32) -> Self {
        Self {
            calls,
            threshold: 0.5,
            minimum_calls: None,
        }
    }

    /// Opens at this share of failures or above: more than 0, up to 1. The default is 0.5.
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Decides nothing before this many calls are in the window: 1 up to the size of the window. The default is 20, or the
    /// size of the window if that is less.
    pub fn minimum_calls(mut self, calls: u32) -> Self {
        self.minimum_calls = Some(calls);
        self
    }

    fn check(&self, problems: &mut Vec<Problem>) -> RateRule {
        if !(1..=MAX_CALLS).contains(&self.calls) {
            problems.push(Problem::new(
                "failure_rate.over_calls",
                self.calls,
                format_args!("1 to {MAX_CALLS}"),
            ));
        }
        // Written so that NaN is caught too.
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            problems.push(Problem::new(
                "failure_rate.threshold",
                self.threshold,
                "more than 0, up to 1",
            ));
        }
        let minimum_calls = self.minimum_calls.unwrap_or(self.calls.min(20));
        if !(1..=self.calls.max(1)).contains(&minimum_calls) {
            problems.push(Problem::new(
                "failure_rate.minimum_calls",
                minimum_calls,
                format_args!("1 to the size of the window, {}", self.calls),
            ));
        }
        RateRule {
            calls: self.calls,
            minimum_calls,
            threshold: self.threshold,
        }
    }
}

/// Builds a [`CircuitBreaker`]. Made by [`CircuitBreaker::builder`].
///
/// At least one rule that opens the circuit is needed; several are combined with *or*. Everything else has a default.
#[must_use = "a builder does nothing until `build` is called"]
pub struct CircuitBreakerBuilder {
    name: Arc<str>,
    consecutive_failures: Option<u32>,
    failure_rate: Option<FailureRate>,
    open_for: Duration,
    half_open_trials: u32,
    success_threshold: u32,
    on_abandoned: Abandoned,
    recovery: Recovery,
    clock: Box<dyn Clock>,
    listeners: Vec<Listener>,
}

impl CircuitBreakerBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            consecutive_failures: None,
            failure_rate: None,
            open_for: Duration::from_secs(30),
            half_open_trials: 1,
            success_threshold: 1,
            on_abandoned: Abandoned::Failure,
            recovery: Recovery::Lazy,
            clock: Box::new(TokioClock),
            listeners: Vec::new(),
        }
    }

    /// Rule: open after this many failures in a row, 1 to 1,000,000. A success starts the count again; an ignored call does
    /// not touch it.
    pub fn consecutive_failures(mut self, failures: u32) -> Self {
        self.consecutive_failures = Some(failures);
        self
    }

    /// Rule: open when too large a share of the last calls failed.
    pub fn failure_rate(mut self, rate: FailureRate) -> Self {
        self.failure_rate = Some(rate);
        self
    }

    /// How long the circuit stays open before a trial: 1 ms to 30 days. The default is 30 s.
    pub fn open_for(mut self, wait: Duration) -> Self {
        self.open_for = wait;
        self
    }

    /// How many trial calls may be in flight at once while half-open, 1 to 65,535. The default is 1.
    pub fn half_open_trials(mut self, trials: u32) -> Self {
        self.half_open_trials = trials;
        self
    }

    /// How many trials must succeed to close the circuit, 1 to 65,535. One failure opens it again. The default is 1.
    pub fn success_threshold(mut self, successes: u32) -> Self {
        self.success_threshold = successes;
        self
    }

    /// What a call means that was given up before it had a result. The default is a failure.
    pub fn on_abandoned(mut self, abandoned: Abandoned) -> Self {
        self.on_abandoned = abandoned;
        self
    }

    /// Who makes the trial calls. The default is the first ordinary calls after the wait.
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// Where the time comes from. The default is tokio's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Adds a listener for transitions.
    ///
    /// It is called once for each, in order, on the thread whose call made the transition (or one that is delivering
    /// already), outside any lock: it may use the circuit's handle, even change the state, but should not block. A panic in
    /// it is caught.
    pub fn listener(mut self, listener: impl Fn(&Transition) + Send + Sync + 'static) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }

    /// Builds the circuit breaker, closed, or says everything that is wrong with it.
    pub fn build(self) -> Result<CircuitBreaker, BuildError> {
        let mut problems = Vec::new();
        if self.name.is_empty() {
            problems.push(Problem::new(
                "name",
                &*self.name,
                "any text but the empty one",
            ));
        }
        if self.consecutive_failures.is_none() && self.failure_rate.is_none() {
            problems.push(Problem::new(
                "rules",
                format_args!("none"),
                "at least one of `consecutive_failures` and `failure_rate`",
            ));
        }
        if let Some(failures) = self.consecutive_failures {
            check_count(
                &mut problems,
                "consecutive_failures",
                failures,
                MAX_CONSECUTIVE_FAILURES,
            );
        }
        let failure_rate = self.failure_rate.map(|rate| rate.check(&mut problems));
        if !(MIN_OPEN..=MAX_OPEN).contains(&self.open_for) {
            problems.push(Problem::new("open_for", self.open_for, "1ms to 30 days"));
        }
        check_count(
            &mut problems,
            "half_open_trials",
            self.half_open_trials,
            MAX_TRIALS,
        );
        check_count(
            &mut problems,
            "success_threshold",
            self.success_threshold,
            MAX_TRIALS,
        );
        BuildError::check("circuit breaker", &self.name, problems)?;

        let policy = Policy {
            consecutive_failures: self.consecutive_failures,
            failure_rate,
            open_for: self.open_for.as_nanos() as u64,
            half_open_trials: self.half_open_trials,
            success_threshold: self.success_threshold,
        };
        let origin = self.clock.now();
        Ok(CircuitBreaker {
            shared: Arc::new(Shared {
                name: self.name,
                machine: Machine::new(policy),
                counters: Counters::new(),
                journal: Journal::new(self.listeners, origin),
                clock: self.clock,
                origin,
                on_abandoned: self.on_abandoned,
                recovery: self.recovery,
                changed: Notify::new(),
            }),
        })
    }
}

fn check_count(problems: &mut Vec<Problem>, option: &'static str, value: u32, max: u32) {
    if !(1..=max).contains(&value) {
        problems.push(Problem::new(option, value, format_args!("1 to {max}")));
    }
}

impl fmt::Debug for CircuitBreakerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerBuilder")
            .field("name", &self.name)
            .field("consecutive_failures", &self.consecutive_failures)
            .field("failure_rate", &self.failure_rate)
            .field("open_for", &self.open_for)
            .field("half_open_trials", &self.half_open_trials)
            .field("success_threshold", &self.success_threshold)
            .field("on_abandoned", &self.on_abandoned)
            .field("recovery", &self.recovery)
            .field("listeners", &self.listeners.len())
            .finish_non_exhaustive()
    }
}
