//! Any sequence of calls, outcomes, cancels, time steps and manual actions, against a plain sequential model of the
//! semantics: after every step the state, the counts and the window must be equal.

#![allow(clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use proptest::prelude::*;
use tower_breaker::{Abandoned, CircuitBreaker, FailureRate, Permit, Reason, Recovery, State};

#[derive(Debug, Clone)]
struct Config {
    consecutive: Option<u32>,
    // Window, threshold in percent, minimum calls.
    rate: Option<(u32, u32, u32)>,
    open_ms: u64,
    trials: u32,
    successes: u32,
    abandoned: Abandoned,
    probed: bool,
}

fn configs() -> impl Strategy<Value = Config> {
    let rate = (1_u32..8, 1_u32..=100)
        .prop_flat_map(|(calls, percent)| (Just(calls), Just(percent), 1..=calls));
    let abandoned = prop_oneof![
        Just(Abandoned::Ignore),
        Just(Abandoned::Failure),
        (1_u64..20).prop_map(|ms| Abandoned::FailureAfter(Duration::from_millis(ms))),
    ];
    (
        prop::option::of(1_u32..5),
        prop::option::of(rate),
        1_u64..30,
        1_u32..4,
        1_u32..4,
        abandoned,
        any::<bool>(),
    )
        .prop_map(
            |(consecutive, rate, open_ms, trials, successes, abandoned, probed)| Config {
                consecutive: consecutive.or(rate.is_none().then_some(3)),
                rate,
                open_ms,
                trials,
                successes,
                abandoned,
                probed,
            },
        )
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Call,
    Trial,
    Success(usize),
    Failure(usize),
    Ignore(usize),
    Drop(usize),
    Wait(u64),
    ForceOpen,
    ForceClosed,
    Reset,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => Just(Step::Call),
        3 => Just(Step::Trial),
        6 => (0_usize..8).prop_map(Step::Success),
        10 => (0_usize..8).prop_map(Step::Failure),
        2 => (0_usize..8).prop_map(Step::Ignore),
        3 => (0_usize..8).prop_map(Step::Drop),
        8 => (0_u64..15).prop_map(Step::Wait),
        1 => Just(Step::ForceOpen),
        1 => Just(Step::ForceClosed),
        1 => Just(Step::Reset),
    ];
    prop::collection::vec(step, 0..200)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Success,
    Failure,
    Ignore,
    Drop,
}

#[derive(Debug, Clone, Copy)]
struct Ticket {
    episode: u64,
    trial: bool,
    since: u64,
}

/// The semantics, as plainly as they can be written down.
struct Model {
    config: Config,
    now: u64,
    state: State,
    held: bool,
    episode: u64,
    row: u32,
    window: VecDeque<bool>,
    opened: u64,
    in_flight: u32,
    good_trials: u32,
    counts: Counts,
    spent: [u64; 3],
    since: u64,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Counts {
    admitted: u64,
    succeeded: u64,
    failed: u64,
    ignored: u64,
    abandoned: u64,
    refused: u64,
    stale: u64,
    trials_succeeded: u64,
    trials_failed: u64,
}

impl Model {
    fn new(config: Config) -> Self {
        Self {
            config,
            now: 0,
            state: State::Closed,
            held: false,
            episode: 0,
            row: 0,
            window: VecDeque::new(),
            opened: 0,
            in_flight: 0,
            good_trials: 0,
            counts: Counts::default(),
            spent: [0; 3],
            since: 0,
        }
    }

    fn go(&mut self, state: State, held: bool) {
        self.spent[self.state as usize] += self.now - self.since;
        self.since = self.now;
        self.state = state;
        self.held = held;
        self.episode += 1;
        self.row = 0;
        self.window.clear();
        self.opened = self.now;
        self.in_flight = 0;
        self.good_trials = 0;
    }

    fn call(&mut self) -> Result<Ticket, (Reason, Option<u64>)> {
        let ticket = self.admit(!self.config.probed);
        if ticket.is_err() {
            self.counts.refused += 1;
        }
        ticket
    }

    fn trial(&mut self) -> Option<Ticket> {
        if self.state == State::Closed {
            None
        } else {
            self.admit(true).ok()
        }
    }

    fn admit(&mut self, may_try: bool) -> Result<Ticket, (Reason, Option<u64>)> {
        let trial = match self.state {
            State::Closed => false,
            State::Open if self.held => return Err((Reason::ForcedOpen, None)),
            State::Open => {
                let left = (self.opened + self.config.open_ms).saturating_sub(self.now);
                if left > 0 || !may_try {
                    return Err((Reason::CircuitOpen, Some(left)));
                }
                self.go(State::HalfOpen, false);
                true
            }
            State::HalfOpen => {
                if self.in_flight == self.config.trials || !may_try {
                    return Err((Reason::HalfOpenFull, None));
                }
                true
            }
        };
        self.in_flight += u32::from(trial);
        self.counts.admitted += 1;
        Ok(Ticket {
            episode: self.episode,
            trial,
            since: self.now,
        })
    }

    fn finish(&mut self, ticket: Ticket, result: Ending) {
        match result {
            Ending::Success => self.counts.succeeded += 1,
            Ending::Failure => self.counts.failed += 1,
            Ending::Ignore => self.counts.ignored += 1,
            Ending::Drop => self.counts.abandoned += 1,
        }
        let failed = match (result, self.config.abandoned) {
            (Ending::Success, _) => Some(false),
            (Ending::Failure, _) | (Ending::Drop, Abandoned::Failure) => Some(true),
            (Ending::Ignore, _) | (Ending::Drop, Abandoned::Ignore) => None,
            (Ending::Drop, Abandoned::FailureAfter(limit)) => {
                (self.now - ticket.since >= limit.as_millis() as u64).then_some(true)
            }
        };
        if ticket.episode != self.episode {
            self.counts.stale += 1;
        } else if ticket.trial {
            self.in_flight -= 1;
            match failed {
                None => {}
                Some(true) => {
                    self.counts.trials_failed += 1;
                    self.go(State::Open, false);
                }
                Some(false) => {
                    self.counts.trials_succeeded += 1;
                    self.good_trials += 1;
                    if self.good_trials == self.config.successes {
                        self.go(State::Closed, false);
                    }
                }
            }
        } else if !self.held
            && let Some(failed) = failed
        {
            self.row = if failed { self.row + 1 } else { 0 };
            if let Some((calls, ..)) = self.config.rate {
                self.window.push_back(failed);
                if self.window.len() > calls as usize {
                    self.window.pop_front();
                }
            }
            if self.trips() {
                self.go(State::Open, false);
            }
        }
    }

    fn failures(&self) -> u32 {
        self.window.iter().filter(|failed| **failed).count() as u32
    }

    fn trips(&self) -> bool {
        let in_a_row = self
            .config
            .consecutive
            .is_some_and(|limit| self.row >= limit);
        let by_rate = self.config.rate.is_some_and(|(_, percent, minimum)| {
            let calls = self.window.len() as u32;
            calls >= minimum && self.failures() * 100 >= percent * calls
        });
        in_a_row || by_rate
    }
}

fn build(config: &Config, time: &Arc<AtomicU64>) -> CircuitBreaker {
    let (start, time) = (Instant::now(), time.clone());
    let mut builder = CircuitBreaker::builder("model")
        .open_for(Duration::from_millis(config.open_ms))
        .half_open_trials(config.trials)
        .success_threshold(config.successes)
        .on_abandoned(config.abandoned)
        .recovery(if config.probed {
            Recovery::Probed
        } else {
            Recovery::Lazy
        })
        .clock(move || start + Duration::from_millis(time.load(Ordering::Relaxed)));
    if let Some(limit) = config.consecutive {
        builder = builder.consecutive_failures(limit);
    }
    if let Some((calls, percent, minimum)) = config.rate {
        let rate = FailureRate::over_calls(calls);
        builder = builder.failure_rate(
            rate.threshold(f64::from(percent) / 100.0)
                .minimum_calls(minimum),
        );
    }
    builder.build().unwrap()
}

fn compare(breaker: &CircuitBreaker, model: &Model) -> Result<(), TestCaseError> {
    let snapshot = breaker.snapshot();
    let counts = Counts {
        admitted: snapshot.admitted,
        succeeded: snapshot.succeeded,
        failed: snapshot.failed,
        ignored: snapshot.ignored,
        abandoned: snapshot.abandoned,
        refused: snapshot.refused,
        stale: snapshot.stale,
        trials_succeeded: snapshot.trials_succeeded,
        trials_failed: snapshot.trials_failed,
    };
    prop_assert_eq!(snapshot.state, model.state);
    prop_assert_eq!(&counts, &model.counts);
    prop_assert_eq!(snapshot.control.is_held(), model.held);
    prop_assert_eq!(
        (snapshot.generation, snapshot.transitions),
        (model.episode, model.episode)
    );
    prop_assert_eq!(snapshot.consecutive_failures, model.row);
    prop_assert_eq!(snapshot.trials_in_flight, model.in_flight);
    prop_assert_eq!(snapshot.trial_successes, model.good_trials);
    let left = (model.opened + model.config.open_ms).saturating_sub(model.now);
    let open = model.state == State::Open && !model.held;
    prop_assert_eq!(
        snapshot.open_remaining,
        open.then_some(Duration::from_millis(left))
    );
    prop_assert_eq!(snapshot.windows.is_empty(), model.config.rate.is_none());
    // What a rule saw last, before the circuit opened, nobody must rely on.
    if let Some((window, (_, _, minimum))) = snapshot.windows.first().zip(model.config.rate)
        && model.state == State::Closed
    {
        let calls = model.window.len() as u32;
        prop_assert_eq!((window.calls, window.hits), (calls, model.failures()));
        let rate = (calls >= minimum).then(|| f64::from(model.failures()) / f64::from(calls));
        prop_assert_eq!(window.rate, rate);
    }
    let spent = snapshot.time_in_state;
    let mut expected = model.spent;
    expected[model.state as usize] += model.now - model.since;
    let spent = [spent.closed, spent.open, spent.half_open].map(|spent| spent.as_millis() as u64);
    prop_assert_eq!(spent, expected);
    Ok(())
}

fn run(config: Config, steps: &[Step]) -> Result<(), TestCaseError> {
    let time = Arc::new(AtomicU64::new(0));
    let breaker = build(&config, &time);
    let mut model = Model::new(config);
    let mut running: Vec<(Permit, Ticket)> = Vec::new();
    for step in steps {
        let finish = match *step {
            Step::Call => {
                match (breaker.try_acquire(), model.call()) {
                    (Ok(permit), Ok(ticket)) => running.push((permit, ticket)),
                    (Err(refused), Err((reason, wait))) => {
                        prop_assert_eq!(refused.reason(), reason);
                        prop_assert_eq!(refused.retry_after(), wait.map(Duration::from_millis));
                    }
                    (real, expected) => {
                        return Err(TestCaseError::fail(format!("{real:?}, not {expected:?}")));
                    }
                }
                None
            }
            Step::Trial => {
                match (breaker.try_trial(), model.trial()) {
                    (Some(permit), Some(ticket)) => running.push((permit, ticket)),
                    (None, None) => {}
                    (real, expected) => {
                        return Err(TestCaseError::fail(format!("{real:?}, not {expected:?}")));
                    }
                }
                None
            }
            Step::Wait(ms) => {
                time.fetch_add(ms, Ordering::Relaxed);
                model.now += ms;
                None
            }
            Step::ForceOpen => {
                if !(model.state == State::Open && model.held) {
                    model.go(State::Open, true);
                }
                breaker.force_open();
                None
            }
            Step::ForceClosed => {
                if !(model.state == State::Closed && model.held) {
                    model.go(State::Closed, true);
                }
                breaker.force_closed();
                None
            }
            Step::Reset => {
                model.go(State::Closed, false);
                breaker.reset();
                None
            }
            Step::Success(which) => Some((which, Ending::Success)),
            Step::Failure(which) => Some((which, Ending::Failure)),
            Step::Ignore(which) => Some((which, Ending::Ignore)),
            Step::Drop(which) => Some((which, Ending::Drop)),
        };
        if let Some((which, result)) = finish
            && !running.is_empty()
        {
            let (permit, ticket) = running.swap_remove(which % running.len());
            match result {
                Ending::Success => permit.success(),
                Ending::Failure => permit.failure(),
                Ending::Ignore => permit.ignore(),
                Ending::Drop => drop(permit),
            }
            model.finish(ticket, result);
        }
        compare(&breaker, &model)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_agrees_with_the_model(config in configs(), steps in steps()) {
        run(config, &steps)?;
    }
}
