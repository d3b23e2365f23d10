//! Building a circuit breaker: every option, and the check that the whole makes sense.

mod check;
mod preset;
mod ramp;
mod rate;
mod rates;
#[cfg(test)]
mod tests;
mod trial;
mod wait;

use std::{fmt, sync::Arc, time::Duration};

use self::{check::MILLISECOND, rates::Rates, trial::Trials};
pub use self::{
    preset::Preset,
    ramp::Ramp,
    rate::{FailureRate, SlowCallRate},
    trial::TrialRate,
    wait::OpenWait,
};
#[cfg(feature = "serde")]
use super::policy::Kind;
use super::{
    clock::{Clock, Time},
    handle::CircuitBreaker,
    journal::Listener,
    policy::{Abandoned, Lease, LeaseExpired, Policy, RateRule, Recovery, nanos},
    transition::Transition,
    word::MAX_TRIALS,
};
use crate::{BuildError, Problem, label::Label};

const MAX_CONSECUTIVE_FAILURES: u32 = 1_000_000;
const MAX_RATES: usize = 8;

/// Builds a [`CircuitBreaker`]. Made by [`CircuitBreaker::builder`].
///
/// At least one rule that opens the circuit is needed; several are combined with *or*. Everything else has a default.
#[must_use = "a builder does nothing until `build` is called"]
pub struct CircuitBreakerBuilder {
    name: Arc<str>,
    consecutive_failures: Option<u32>,
    rates: Rates,
    open_for: OpenWait,
    stable_after: Duration,
    honor_retry_after: Option<Duration>,
    half_open_trials: u32,
    trials: Trials,
    trial_lease: Option<Duration>,
    on_lease_expired: LeaseExpired,
    ramp: Option<Ramp>,
    on_abandoned: Option<Abandoned>,
    recovery: Recovery,
    dry_run: bool,
    clock: Option<Box<dyn Clock>>,
    listeners: Vec<Listener>,
}

/// What a circuit breaker is put together from.
pub(in crate::breaker) struct Parts {
    pub(in crate::breaker) label: Label,
    pub(in crate::breaker) policy: Policy,
    pub(in crate::breaker) on_abandoned: Abandoned,
    pub(in crate::breaker) recovery: Recovery,
    pub(in crate::breaker) dry_run: bool,
    pub(in crate::breaker) time: Time,
    pub(in crate::breaker) listeners: Vec<Listener>,
    pub(in crate::breaker) compact: bool,
}

impl CircuitBreakerBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            consecutive_failures: None,
            rates: Rates::default(),
            open_for: OpenWait::fixed(Duration::from_secs(30)),
            stable_after: Duration::ZERO,
            honor_retry_after: None,
            half_open_trials: 1,
            trials: Trials::preset(1),
            trial_lease: Some(Duration::from_secs(60)),
            on_lease_expired: LeaseExpired::Failure,
            ramp: None,
            on_abandoned: None,
            recovery: Recovery::Lazy,
            dry_run: false,
            clock: None,
            listeners: Vec::new(),
        }
    }

    /// Sets every option that the [`Preset`] names, and replaces all rules so far. Options set later change it, rates set later
    /// are added to its own.
    pub fn preset(self, preset: Preset) -> Self {
        preset.apply(self)
    }

    /// Rule: open after this many failures in a row, 1 to 1,000,000. A success starts the count again; an ignored call does
    /// not touch it.
    pub fn consecutive_failures(mut self, failures: u32) -> Self {
        self.consecutive_failures = Some(failures);
        self
    }

    /// Rule: open when too large a share of the recent calls failed. May be used several times, each adds a rule; all rates
    /// together may be 8.
    pub fn failure_rate(mut self, rate: FailureRate) -> Self {
        self.rates.add_failures(rate);
        self
    }

    /// Rule: open when too large a share of the recent calls was slow. May be used several times, each adds a rule; all rates
    /// together may be 8. Makes a closed circuit read the clock twice for every call.
    pub fn slow_call_rate(mut self, rate: SlowCallRate) -> Self {
        self.rates.add_slow(rate);
        self
    }

    /// How long the circuit stays open before a trial: a `Duration` of 1 ms to 30 days, or an [`OpenWait`] that grows. The default
    /// is 30 s.
    pub fn open_for(mut self, wait: impl Into<OpenWait>) -> Self {
        self.open_for = wait.into();
        self
    }

    /// How long the circuit must have been closed, when it opens, for a growing [`OpenWait`] to begin again from the smallest: up
    /// to 30 days. The default is zero: whenever it has been closed at all. For a dependency that works just long enough for the
    /// trials.
    pub fn stable_after(mut self, time: Duration) -> Self {
        self.stable_after = time;
        self
    }

    /// Stays open longer if the result that opens the circuit carries a hint, such as HTTP's `Retry-After`: until then, but the
    /// hint counts for no more than `max`, 1 ms to 30 days. It never makes the wait shorter. The default is to ask for no hint.
    pub fn honor_retry_after(mut self, max: Duration) -> Self {
        self.honor_retry_after = Some(max);
        self
    }

    /// How many trial calls may be in flight at once while half-open, 1 to 255. The default is 1.
    pub fn half_open_trials(mut self, trials: u32) -> Self {
        self.half_open_trials = trials;
        self
    }

    /// How many trials must succeed to close the circuit, 1 to 255. One failure opens it again. The default is 1. Not together
    /// with [`trial_rate`](Self::trial_rate).
    pub fn success_threshold(mut self, successes: u32) -> Self {
        self.trials.successes = Some(successes);
        self
    }

    /// Decides by the share of trials that fail whether to close or to open again, instead of the
    /// [`success_threshold`](Self::success_threshold).
    pub fn trial_rate(mut self, rate: TrialRate) -> Self {
        self.trials.rate = Some(rate);
        self
    }

    /// How long a trial may take, 1 ms to 30 days, or `None` for any time. The default is 60 s. After that its slot is free
    /// again, and its result decides nothing: so a trial that hangs cannot keep the circuit half-open for ever.
    pub fn trial_lease(mut self, lease: impl Into<Option<Duration>>) -> Self {
        self.trial_lease = lease.into();
        self
    }

    /// What it means that a trial's lease is over before it has a result. The default is a failure: the circuit opens again. No
    /// matter without a [`trial_lease`](Self::trial_lease).
    pub fn on_lease_expired(mut self, expired: LeaseExpired) -> Self {
        self.on_lease_expired = expired;
        self
    }

    /// Admits a growing share of the calls after a recovery, instead of all at once. The default is all at once.
    pub fn ramp(mut self, ramp: Ramp) -> Self {
        self.ramp = Some(ramp);
        self
    }

    /// What a call means that was given up before it had a result. The default is a failure; with a rule about slow calls, a
    /// failure if it took [`slower_than`](SlowCallRate::slower_than) or longer, else nothing.
    pub fn on_abandoned(mut self, abandoned: Abandoned) -> Self {
        self.on_abandoned = Some(abandoned);
        self
    }

    /// Who makes the trial calls. The default is the first ordinary calls after the wait.
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// Refuses nothing, and only counts what would have been refused: to try out rules on live traffic. The default is `false`.
    /// [`CircuitBreaker::set_dry_run`] changes it later.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Where the time comes from. The default is tokio's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Box::new(clock));
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

    /// Takes the rates of one kind away: in a configuration, a key replaces what the preset says.
    #[cfg(feature = "serde")]
    pub(super) fn without_rates(mut self, kind: Kind) -> Self {
        self.rates.remove(kind);
        self
    }

    /// Builds the circuit breaker, closed, or says everything that is wrong with it.
    pub fn build(self) -> Result<CircuitBreaker, BuildError> {
        self.build_with(false, Label::kept)
    }

    /// As [`build`](Self::build), for a registry, which forgets what it throws out. `compact`: for circuits of which there are thousands,
    /// with the totals in one place for all threads.
    pub(crate) fn build_keyed(self, compact: bool) -> Result<CircuitBreaker, BuildError> {
        self.build_with(compact, Label::counted)
    }

    fn build_with(
        self,
        compact: bool,
        label: fn(Arc<str>) -> Label,
    ) -> Result<CircuitBreaker, BuildError> {
        let mut problems = Vec::new();
        let policy = self.check(&mut problems);
        BuildError::check("circuit breaker", &self.name, problems)?;
        Ok(CircuitBreaker::assemble(Parts {
            on_abandoned: self.abandoned(),
            label: label(self.name),
            policy,
            recovery: self.recovery,
            dry_run: self.dry_run,
            time: self.clock.map_or_else(Time::of_tokio, Time::of),
            listeners: self.listeners,
            compact,
        }))
    }

    fn abandoned(&self) -> Abandoned {
        let unset = || match self.rates.slower_than() {
            Some(limit) => Abandoned::FailureAfter(limit),
            None => Abandoned::Failure,
        };
        self.on_abandoned.unwrap_or_else(unset)
    }

    // The policy is of use only if there is no problem.
    fn check(&self, problems: &mut Vec<Problem>) -> Policy {
        if self.name.is_empty() {
            problems.push(Problem::new(
                "name",
                &*self.name,
                "any text but the empty one",
            ));
        }
        let rates = self.check_rules(problems);
        let open_wait = self.open_for.check(problems);
        check::time(problems, "stable_after", self.stable_after, Duration::ZERO);
        if let Some(max) = self.honor_retry_after {
            check::time(problems, "honor_retry_after", max, MILLISECOND);
        }
        check::count(
            problems,
            "half_open_trials",
            self.half_open_trials,
            1..=MAX_TRIALS,
        );
        let trial_rule = self.trials.check(problems);
        if let Some(lease) = self.trial_lease {
            check::time(problems, "trial_lease", lease, MILLISECOND);
        }
        if let Some(Abandoned::FailureAfter(limit)) = self.on_abandoned {
            check::time(
                problems,
                "on_abandoned.failure_after",
                limit,
                Duration::ZERO,
            );
        }
        Policy {
            consecutive_failures: self.consecutive_failures,
            rates,
            slow_call: self.rates.slower_than().map(nanos),
            open_wait,
            stable_after: nanos(self.stable_after),
            retry_after_cap: self.honor_retry_after.map(nanos),
            half_open_trials: self.half_open_trials,
            trial_rule,
            lease: self.trial_lease.map(|time| Lease {
                time: nanos(time),
                expired: self.on_lease_expired,
            }),
            ramp: self.ramp.map(|ramp| ramp.check(problems)),
        }
    }

    fn check_rules(&self, problems: &mut Vec<Problem>) -> Vec<RateRule> {
        if self.consecutive_failures.is_none() && self.rates.len() == 0 {
            problems.push(Problem::new(
                "rules",
                format_args!("none"),
                "at least one of `consecutive_failures`, `failure_rate` and `slow_call_rate`",
            ));
        }
        if let Some(failures) = self.consecutive_failures {
            check::count(
                problems,
                "consecutive_failures",
                failures,
                1..=MAX_CONSECUTIVE_FAILURES,
            );
        }
        if self.rates.len() > MAX_RATES {
            problems.push(Problem::new(
                "rules",
                format_args!("{} rates", self.rates.len()),
                format_args!("at most {MAX_RATES} of `failure_rate` and `slow_call_rate`"),
            ));
        }
        self.rates.check(problems)
    }
}

impl fmt::Debug for CircuitBreakerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerBuilder")
            .field("name", &self.name)
            .field("consecutive_failures", &self.consecutive_failures)
            .field("rates", &self.rates)
            .field("open_for", &self.open_for)
            .field("stable_after", &self.stable_after)
            .field("honor_retry_after", &self.honor_retry_after)
            .field("half_open_trials", &self.half_open_trials)
            .field("trials", &self.trials)
            .field("trial_lease", &self.trial_lease)
            .field("on_lease_expired", &self.on_lease_expired)
            .field("ramp", &self.ramp)
            .field("on_abandoned", &self.on_abandoned)
            .field("recovery", &self.recovery)
            .field("dry_run", &self.dry_run)
            .field("listeners", &self.listeners.len())
            .finish_non_exhaustive()
    }
}
