//! Passive outlier ejection: an endpoint whose requests fail is left out for a time.
//!
//! Each endpoint has a circuit breaker that hears of its requests. When that opens, the endpoint is out of the set; when its wait is
//! over, one request is its trial, and decides whether it comes back or waits for twice as long. What the circuit cannot know is
//! how the others are: so the cap on how many may be out is looked at when a circuit has opened, and if it is exceeded, or no
//! endpoint would be left, that circuit is reset at once, and its endpoint is used as before.
//!
//! Whether an endpoint is out is decided under one lock, in the order in which circuits tell of their changes, and it is that
//! decision that balancers go by: two circuits that open at the same moment cannot leave the set empty, and a request whose
//! endpoint is used although its circuit is open is made without it.

use std::{
    sync::{Arc, OnceLock, Weak, atomic::Ordering},
    time::Duration,
};

use tower_breaker::{
    Abandoned, BuildError, CircuitBreaker, FailureRate, OpenWait, Recovery, State, Transition,
    breaker::Cause,
};

use super::{
    clock::ToldClock,
    endpoint::{Endpoint, EndpointId, EndpointKey, HELD, OUT},
    handle::{Book, Shared},
    moment::Moment,
};
use crate::config::model::Ejection;

/// How much of each wait is left to chance, so that endpoints that failed together are not tried together.
const JITTER: f64 = 0.1;
/// How long a trial may take until its circuit opens again.
const TRIAL_LEASE: Duration = Duration::from_secs(60);
/// While a trial is under way its circuit is asked this often whether that is still so: it notices the end of a lease when asked.
const WHILE_TRYING: Duration = Duration::from_secs(1);
const SHORTLY: Duration = Duration::from_millis(1);

/// Whether circuits can be built.
pub(super) fn check(name: &Arc<str>, config: &Ejection) -> Result<(), BuildError> {
    breaker(name.clone(), config, |_| {}).map(drop)
}

fn breaker(
    name: Arc<str>,
    config: &Ejection,
    listener: impl Fn(&Transition) + Send + Sync + 'static,
) -> Result<CircuitBreaker, BuildError> {
    let mut builder = CircuitBreaker::builder(name)
        .open_for(
            OpenWait::exponential(config.base)
                .max(config.max)
                .jitter(JITTER),
        )
        // Who fails again soon after coming back was not well: its wait goes on growing.
        .stable_after(config.base)
        .trial_lease(TRIAL_LEASE)
        // The balancer chooses which request is a trial.
        .recovery(Recovery::Probed)
        // A request in flight decides by itself what it means that it was given up.
        .on_abandoned(Abandoned::Ignore)
        .clock(ToldClock)
        .listener(listener);
    if let Some(failures) = config.consecutive_failures {
        builder = builder.consecutive_failures(failures);
    }
    if let Some(rate) = &config.failure_rate {
        builder = builder.failure_rate(
            FailureRate::over_time(rate.window)
                .threshold(rate.threshold)
                .minimum_calls(rate.minimum_calls)
                .minimum_failures(rate.minimum_failures),
        );
    }
    builder.build()
}

/// Makes an endpoint, with a circuit if there is to be ejection.
pub(super) fn endpoint(
    set: &Arc<Shared>,
    key: EndpointKey,
    slow_since: Option<Moment>,
) -> Arc<Endpoint> {
    let name: Arc<str> = key.to_string().into();
    let set_of = Arc::downgrade(set);
    // The circuit is part of the endpoint, and the endpoint of what the circuit tells.
    let itself: Arc<OnceLock<Weak<Endpoint>>> = Arc::default();
    let listener = {
        let (set, itself) = (set_of.clone(), itself.clone());
        move |transition: &Transition| {
            let endpoint = itself.get().and_then(Weak::upgrade);
            if let (Some(set), Some(endpoint)) = (set.upgrade(), endpoint) {
                set.circuit_changed(&endpoint, transition);
            }
        }
    };
    let breaker = set.settings().ejection.as_ref().and_then(|config| {
        let circuit = format!("{}/{name}", set.settings().name);
        // Never an error: another one has been built when the set was, and nothing is different but the name.
        breaker(circuit.into(), config, listener).ok()
    });
    let endpoint = Arc::new(Endpoint::new(key, name, breaker, slow_since, set_of));
    // Never set before.
    let _ = itself.set(Arc::downgrade(&endpoint));
    endpoint
}

/// Resets the circuits of endpoints that are used again. Without the set's lock: circuits tell of it.
pub(super) fn forgive(brought_back: Vec<Arc<Endpoint>>) {
    for endpoint in brought_back {
        if let Some(breaker) = endpoint.breaker() {
            breaker.reset();
        }
    }
}

impl Shared {
    /// A circuit has told of a change.
    fn circuit_changed(&self, endpoint: &Arc<Endpoint>, transition: &Transition) {
        let now = Moment::now();
        match transition.to {
            State::Open if transition.cause == Cause::ForcedOpen => self.hold_out(endpoint, now),
            State::Open => self.eject(endpoint, now),
            State::HalfOpen => self.try_it(endpoint, now),
            State::Closed => self.bring_back(endpoint, now),
        }
    }

    fn eject(&self, endpoint: &Arc<Endpoint>, now: Moment) {
        let trial_at = trial_at(endpoint, now);
        let mut book = self.book();
        endpoint.set_trial_at(trial_at);
        if endpoint.is_ejected() {
            // Its trial has failed, or it was held open by hand and is so no more.
            endpoint.clear_flags(HELD);
            self.schedule_trials(&book);
            return;
        }
        if endpoint.is_draining() {
            // Of no matter, but if it should be named again.
            endpoint.set_flags(OUT);
            return;
        }
        if !self.may_eject(&book, endpoint) {
            drop(book);
            self.live.overflowed.fetch_add(1, Ordering::Relaxed);
            forgive(vec![endpoint.clone()]);
            return;
        }
        endpoint.set_flags(OUT);
        self.live.ejections.fetch_add(1, Ordering::Relaxed);
        self.publish(&mut book);
    }

    // What a hand does is not counted against the cap, nor undone.
    fn hold_out(&self, endpoint: &Endpoint, now: Moment) {
        let trial_at = trial_at(endpoint, now);
        let mut book = self.book();
        endpoint.set_trial_at(trial_at);
        // For a time only: then its circuit asks for a trial.
        let held = if trial_at == Moment::NEVER { HELD } else { 0 };
        endpoint.clear_flags(HELD);
        endpoint.set_flags(OUT | held);
        self.publish(&mut book);
    }

    fn bring_back(&self, endpoint: &Endpoint, now: Moment) {
        let mut book = self.book();
        endpoint.set_trial_at(Moment::NEVER);
        if !endpoint.is_ejected() {
            return;
        }
        self.begin_slowly(endpoint, now);
        endpoint.clear_flags(OUT | HELD);
        self.publish(&mut book);
    }

    fn try_it(&self, endpoint: &Endpoint, now: Moment) {
        let trial_at = trial_at(endpoint, now);
        let book = self.book();
        // By hand, if it had been held.
        endpoint.clear_flags(HELD);
        endpoint.set_trial_at(trial_at);
        self.schedule_trials(&book);
    }

    /// A trial has ended without a verdict, or was not to be had: when the circuit is to be asked next has changed.
    pub(super) fn trial_undecided(&self, endpoint: &Endpoint) {
        let trial_at = trial_at(endpoint, Moment::now());
        let book = self.book();
        endpoint.set_trial_at(trial_at);
        self.schedule_trials(&book);
    }

    fn may_eject(&self, book: &Book, endpoint: &Endpoint) -> bool {
        let is_it = |other: &Endpoint| other.id() == endpoint.id();
        let out = ejected(book).count() + 1;
        let is_another_left = book
            .members
            .iter()
            .any(|member| member.endpoint.flags() == 0 && !is_it(&member.endpoint));
        is_another_left && out <= self.most_out(book)
    }

    // The share that may be out, in endpoints. A hair more than the product, which may be a hair less than what was meant.
    fn most_out(&self, book: &Book) -> usize {
        let ejection = self.settings().ejection.as_ref();
        let share = ejection.map_or(0.0, |ejection| ejection.max_share);
        (share * book.members.len() as f64 + 1e-9) as usize
    }

    /// Takes back ejections that are too many now, as others have left or are not well: those whose trials would be next. Their
    /// circuits must be [forgiven](forgive) once the lock is free. `without`: as if this one were not well.
    pub(super) fn keep_enough(
        &self,
        book: &Book,
        without: Option<EndpointId>,
        now: Moment,
    ) -> Vec<Arc<Endpoint>> {
        let mut brought_back = Vec::new();
        let most = self.most_out(book);
        let stays = |endpoint: &Endpoint| without != Some(endpoint.id());
        loop {
            let is_anyone_left = book
                .members
                .iter()
                .any(|member| member.endpoint.flags() == 0 && stays(&member.endpoint));
            let too_many = ejected(book).count() > most;
            // To bring back one that is not well either would leave none just the same.
            let would_help = |endpoint: &Endpoint| endpoint.is_healthy() && stays(endpoint);
            let next = ejected(book)
                .filter(|endpoint| too_many || (!is_anyone_left && would_help(endpoint)))
                .min_by_key(|endpoint| endpoint.trial_at())
                .cloned();
            let Some(endpoint) = next else {
                return brought_back;
            };
            endpoint.set_trial_at(Moment::NEVER);
            self.begin_slowly(&endpoint, now);
            endpoint.clear_flags(OUT);
            self.live.overflowed.fetch_add(1, Ordering::Relaxed);
            brought_back.push(endpoint);
        }
    }
}

// By their circuits, not by hand.
fn ejected(book: &Book) -> impl Iterator<Item = &Arc<Endpoint>> {
    book.members
        .iter()
        .map(|member| &member.endpoint)
        .filter(|endpoint| endpoint.flags() & (OUT | HELD) == OUT)
}

/// When an endpoint's circuit is to be asked for a trial.
fn trial_at(endpoint: &Endpoint, now: Moment) -> Moment {
    let Some(breaker) = endpoint.breaker() else {
        return Moment::NEVER;
    };
    let circuit = breaker.snapshot();
    match circuit.state {
        State::Closed => Moment::NEVER,
        State::Open => circuit
            .open_remaining
            .map_or(Moment::NEVER, |wait| now.after(wait.max(SHORTLY))),
        State::HalfOpen if circuit.trials_in_flight == 0 => now,
        State::HalfOpen => now.after(WHILE_TRYING),
    }
}
