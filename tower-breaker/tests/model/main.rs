//! Any configuration and any sequence of calls, results, cancels, time steps and manual actions, against a plain sequential
//! [model](model::Model) of the semantics: after every step everything that the breaker shows must be what the model says.
//! The fuzz target `operations` has the same, by path.

#![allow(clippy::unwrap_used)]

pub mod config;
mod model;
pub mod steps;
mod windows;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use tower_breaker::{CircuitBreaker, Control, Permit, State, breaker::RateKind};

use config::{Config, configs};
use model::{Counts, Event, Model, Ticket};
use steps::{Ending, Manual, Step, steps};

fn compare(breaker: &CircuitBreaker, model: &Model) -> Result<(), TestCaseError> {
    let snapshot = breaker.snapshot();
    let counts = Counts {
        admitted: snapshot.admitted,
        succeeded: snapshot.succeeded,
        failed: snapshot.failed,
        ignored: snapshot.ignored,
        abandoned: snapshot.abandoned,
        refused: snapshot.refused,
        would_refuse: snapshot.would_refuse,
        slow: snapshot.slow,
        stale: snapshot.stale,
        trials_succeeded: snapshot.trials_succeeded,
        trials_failed: snapshot.trials_failed,
        leases_expired: snapshot.leases_expired,
    };
    prop_assert_eq!(&counts, &model.counts);
    prop_assert_eq!(snapshot.state, model.state);
    prop_assert_eq!(breaker.state(), model.state);
    prop_assert_eq!(snapshot.control, model.control);
    prop_assert_eq!(snapshot.dry_run, model.dry_run);
    prop_assert_eq!(breaker.is_dry_run(), model.dry_run);
    prop_assert_eq!(snapshot.generation, model.episode());
    prop_assert_eq!(snapshot.transitions, model.episode());
    prop_assert_eq!(snapshot.consecutive_failures, model.in_a_row);
    prop_assert_eq!(snapshot.recovery_attempt, model.attempt);
    prop_assert_eq!(snapshot.trials_in_flight, model.trials_in_flight());
    prop_assert_eq!(snapshot.trial_successes, model.good_trials);
    prop_assert_eq!(snapshot.trial_failures, model.bad_trials);
    let (good, bad) = (model.counts.trials_succeeded, model.counts.trials_failed);
    let success_rate = good as f64 / (good + bad) as f64;
    prop_assert_eq!(
        snapshot.trial_success_rate,
        (good + bad > 0).then_some(success_rate)
    );
    let waits = model.state == State::Open && model.control == Control::Automatic;
    let left = model.open_until.saturating_sub(model.now);
    prop_assert_eq!(
        snapshot.open_remaining,
        waits.then_some(Duration::from_nanos(left))
    );

    let windows: Vec<_> = snapshot
        .windows
        .iter()
        .map(|window| {
            let slow = window.kind == RateKind::SlowCalls;
            (slow, window.calls, window.hits, window.rate)
        })
        .collect();
    prop_assert_eq!(windows, model.windows.seen(model.now));

    let spent = snapshot.time_in_state;
    let spent = [spent.closed, spent.open, spent.half_open].map(|spent| spent.as_nanos() as u64);
    prop_assert_eq!(spent, model.spent());
    prop_assert_eq!(
        snapshot.open_while_healthy.as_nanos() as u64,
        model.open_while_healthy
    );
    Ok(())
}

fn by_hand(breaker: &CircuitBreaker, action: Manual) -> Option<bool> {
    match action {
        Manual::ForceOpen => breaker.force_open(),
        Manual::ForceOpenFor(ms) => breaker.force_open_for(Duration::from_millis(ms)),
        Manual::ForceClosed => breaker.force_closed(),
        Manual::ForceClosedFor(ms) => breaker.force_closed_for(Duration::from_millis(ms)),
        Manual::Disable => breaker.disable(),
        Manual::Reset => breaker.reset(),
        Manual::HalfOpen => return Some(breaker.half_open()),
    }
    None
}

fn end(permit: Permit, ending: Ending) {
    match ending {
        Ending::Success => permit.success(),
        Ending::Failure => permit.failure(),
        Ending::FailureWithRetryAfter(ms) => {
            permit.failure_with_retry_after(Duration::from_millis(ms));
        }
        Ending::Ignore => permit.ignore(),
        Ending::Drop => drop(permit),
    }
}

struct Both {
    breaker: CircuitBreaker,
    model: Model,
    time: Arc<AtomicU64>,
    running: Vec<(Permit, Ticket)>,
    seen: Seen,
}

impl Both {
    fn pass(&mut self, nanos: u64) {
        self.model.pass(nanos);
        self.time.store(self.model.now, Ordering::Relaxed);
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let (breaker, model) = (&self.breaker, &mut self.model);
        match step {
            Step::Call => match (breaker.try_acquire(), model.call()) {
                (Ok(permit), Ok(ticket)) => self.running.push((permit, ticket)),
                (Err(refused), Err((reason, wait))) => {
                    self.seen.note(reason.as_str());
                    prop_assert_eq!(refused.reason(), reason);
                    prop_assert_eq!(refused.retry_after(), wait.map(Duration::from_nanos));
                    prop_assert_eq!(refused.state(), Some(model.state));
                }
                (real, expected) => {
                    return Err(TestCaseError::fail(format!("{real:?}, not {expected:?}")));
                }
            },
            Step::Trial => match (breaker.try_trial(), model.trial()) {
                (Some(permit), Some(ticket)) => self.running.push((permit, ticket)),
                (None, None) => {}
                (real, expected) => {
                    return Err(TestCaseError::fail(format!("{real:?}, not {expected:?}")));
                }
            },
            Step::End(_, _) if self.running.is_empty() => {}
            Step::End(which, ending) => {
                let which = which % self.running.len();
                let (permit, ticket) = self.running.swap_remove(which);
                end(permit, ending);
                model.finish(ticket, ending);
            }
            Step::Wait(ms) => self.pass(ms * config::MS),
            Step::ToDeadline | Step::BeforeDeadline => {
                let early = u64::from(matches!(step, Step::BeforeDeadline));
                if let Some(deadline) = model.deadline() {
                    let by = deadline.saturating_sub(model.now + early);
                    self.pass(by);
                }
            }
            Step::Manual(action) => {
                let expected = model.manual(action);
                if let Some(changed) = by_hand(breaker, action) {
                    prop_assert_eq!(changed, expected);
                }
            }
            Step::DryRun(on) => {
                model.dry_run = on;
                breaker.set_dry_run(on);
            }
            Step::Health(well) => {
                model.report_health(well);
                breaker.report_health(well);
            }
        }
        compare(&self.breaker, &self.model)
    }
}

pub fn run(config: Config, steps: &[Step]) -> Result<Seen, TestCaseError> {
    let time = Arc::new(AtomicU64::new(0));
    let (breaker, heard, start) = config::build(&config, &time);
    let mut events = breaker.events();
    let mut both = Both {
        breaker,
        model: Model::new(config),
        time,
        running: Vec::new(),
        seen: Seen::default(),
    };
    for (index, step) in steps.iter().enumerate() {
        both.step(*step).map_err(|err| match err {
            TestCaseError::Fail(reason) => {
                TestCaseError::fail(format!("step {index}, {step:?}: {reason}"))
            }
            other => other,
        })?;
    }

    // The transitions, whoever tells of them.
    let told = |transition: &tower_breaker::Transition| {
        let event = Event {
            from: transition.from,
            to: transition.to,
            cause: transition.cause,
            at: transition.at.duration_since(start).as_nanos() as u64,
        };
        (transition.generation, event)
    };
    let expected: Vec<_> = (1..).zip(both.model.events.iter().copied()).collect();
    let heard: Vec<_> = heard.lock().unwrap().iter().map(told).collect();
    prop_assert_eq!(&heard, &expected);
    let recent: Vec<_> = both.breaker.recent_transitions().iter().map(told).collect();
    prop_assert_eq!(&recent[..], &expected[expected.len().saturating_sub(64)..]);
    let mut received = Vec::new();
    loop {
        let mut next = tokio_test::task::spawn(events.recv());
        match next.poll() {
            std::task::Poll::Ready(Some(transition)) => received.push(told(&transition)),
            std::task::Poll::Ready(None) => break,
            std::task::Poll::Pending => break,
        }
    }
    prop_assert_eq!(&received, &expected);
    let Both {
        mut seen, model, ..
    } = both;
    for event in &model.events {
        seen.note(event.cause.as_str());
    }
    for (what, count) in [
        ("slow", model.counts.slow),
        ("stale", model.counts.stale),
        ("would refuse", model.counts.would_refuse),
        ("lease expired", model.counts.leases_expired),
        ("trial succeeded", model.counts.trials_succeeded),
        ("abandoned", model.counts.abandoned),
        ("open while healthy", model.open_while_healthy),
        (
            "later attempt",
            model.latest_attempt.saturating_sub(1).into(),
        ),
    ] {
        *seen.0.entry(what).or_default() += u64::from(count > 0);
    }
    Ok(seen)
}

/// What has happened at all, and how often.
#[derive(Default)]
pub struct Seen(BTreeMap<&'static str, u64>);

impl Seen {
    fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        // `PROPTEST_CASES` may ask for more.
        cases: ProptestConfig::default().cases.max(1_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_agrees_with_the_model(config in configs(), steps in steps()) {
        run(config, &steps).map(drop)?;
    }
}

/// What is generated reaches everything there is, and often enough: else the test above would say nothing about it.
#[test]
fn every_cause_and_every_refusal_occurs() {
    let mut runner = TestRunner::deterministic();
    let mut total = Seen::default();
    for _ in 0..300 {
        let case = (configs(), steps()).new_tree(&mut runner).unwrap();
        let (config, steps) = case.current();
        for (what, count) in run(config, &steps).unwrap().0 {
            *total.0.entry(what).or_default() += count;
        }
    }
    for what in [
        "consecutive_failures",
        "failure_rate",
        "slow_call_rate",
        "wait_elapsed",
        "wait_ended_by_hand",
        "trials_succeeded",
        "trial_failed",
        "lease_expired",
        "forced_open",
        "forced_closed",
        "disabled",
        "hold_elapsed",
        "reset",
        "circuit_open",
        "half_open_full",
        "ramping",
        "slow",
        "stale",
        "would refuse",
        "lease expired",
        "trial succeeded",
        "abandoned",
        "open while healthy",
        "later attempt",
    ] {
        let count = total.0.get(what).copied().unwrap_or(0);
        assert!(count >= 10, "{what}: {count} times; in all: {:?}", total.0);
    }
}
