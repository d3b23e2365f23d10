//! Every interleaving of the decisive moments, by loom:
//!
//! `RUSTFLAGS="--cfg breaker_loom" CARGO_TARGET_DIR=target/loom cargo test -p tower-breaker --release --lib loom`
//!
//! Each model first brings the machine to the moment in question on one thread, then lets two threads loose on it.

use std::time::Duration;

use loom::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use super::{
    machine::{Change, Denied, Effect, Machine, Manual, Settled, Ticket},
    policy::{Policy, RateRule},
    transition::{Cause, State},
    window::{CountWindow, Tally},
    word::Phase,
};
use crate::Reason;

const WAIT: u64 = 100;

fn policy() -> Policy {
    Policy {
        consecutive_failures: Some(1),
        failure_rate: None,
        open_for: Duration::from_nanos(WAIT).as_nanos() as u64,
        half_open_trials: 1,
        success_threshold: 1,
    }
}

fn machine(policy: Policy) -> Arc<Machine> {
    Arc::new(Machine::new(policy))
}

fn admit(machine: &Machine, now: u64) -> Ticket {
    machine.admit(true, || now).unwrap().0
}

fn settle(machine: &Machine, ticket: Ticket, effect: Effect, now: u64) -> Settled {
    machine.settle(ticket, effect, || now)
}

fn open(machine: &Machine, now: u64) {
    let ticket = admit(machine, now);
    assert!(
        settle(machine, ticket, Effect::Failure, now)
            .change
            .is_some()
    );
}

fn half_open(machine: &Machine) -> Ticket {
    open(machine, 0);
    admit(machine, WAIT)
}

/// Runs the two beside each other and gives what both gave.
fn race<A: 'static, B: 'static>(
    a: impl FnOnce() -> A + 'static,
    b: impl FnOnce() -> B + 'static,
) -> (A, B) {
    let a = thread::spawn(a);
    let b = b();
    (a.join().unwrap(), b)
}

fn on<T, F>(machine: &Arc<Machine>, run: F) -> impl FnOnce() -> T + use<T, F>
where
    F: FnOnce(&Machine) -> T,
{
    let machine = machine.clone();
    move || run(&machine)
}

type Admitted = Result<(Ticket, Option<Change>), Denied>;

#[test]
fn loom_two_calls_at_the_expiry_make_one_transition_and_one_trial() {
    loom::model(|| {
        let machine = machine(policy());
        open(&machine, 0);
        let try_it = |machine: &Machine| machine.admit(true, || WAIT);
        let (a, b): (Admitted, Admitted) = race(on(&machine, try_it), on(&machine, try_it));
        let (admitted, refused) = if a.is_ok() { (a, b) } else { (b, a) };
        let (ticket, change) = admitted.unwrap();
        assert_eq!(
            ticket,
            Ticket {
                generation: 2,
                trial: true
            }
        );
        assert_eq!(change.unwrap().to, State::HalfOpen);
        assert_eq!(refused.unwrap_err().reason, Reason::HalfOpenFull);
        assert_eq!(
            machine.view().phase,
            Phase::HalfOpen {
                in_flight: 1,
                successes: 0
            }
        );
    });
}

#[test]
fn loom_trials_never_exceed_the_cap_while_slots_come_back() {
    loom::model(|| {
        let machine = machine(Policy {
            half_open_trials: 2,
            ..policy()
        });
        let first = half_open(&machine);
        let running = Arc::new(AtomicU32::new(1));
        let try_it = |running: &Arc<AtomicU32>| {
            let running = running.clone();
            move |machine: &Machine| {
                let Ok((ticket, _)) = machine.admit(true, || WAIT) else {
                    return;
                };
                assert!(
                    running.fetch_add(1, Ordering::AcqRel) < 2,
                    "more trials than the cap"
                );
                running.fetch_sub(1, Ordering::AcqRel);
                settle(machine, ticket, Effect::Nothing, WAIT);
            }
        };
        race(
            on(&machine, try_it(&running)),
            on(&machine, try_it(&running)),
        );
        assert_eq!(
            machine.view().phase,
            Phase::HalfOpen {
                in_flight: 1,
                successes: 0
            }
        );
        assert_eq!(
            settle(&machine, first, Effect::Success, WAIT)
                .change
                .unwrap()
                .to,
            State::Closed
        );
    });
}

#[test]
fn loom_two_failures_that_each_trip_make_one_transition() {
    loom::model(|| {
        let machine = machine(policy());
        let (a, b) = (admit(&machine, 0), admit(&machine, 0));
        let (a, b) = race(
            on(&machine, move |machine| {
                settle(machine, a, Effect::Failure, 1)
            }),
            on(&machine, move |machine| {
                settle(machine, b, Effect::Failure, 2)
            }),
        );
        assert_eq!(a.change.iter().chain(&b.change).count(), 1);
        assert!(a.stale != b.stale, "the later one is of the past");
        assert_eq!(machine.view().generation, 1);
        let at = a.change.or(b.change).unwrap().at;
        assert_eq!(machine.view().open_until, Some(at + WAIT));
    });
}

#[test]
fn loom_both_rules_tripping_at_once_make_one_transition() {
    loom::model(|| {
        let rate = RateRule {
            calls: 2,
            minimum_calls: 2,
            threshold: 0.5,
        };
        let machine = machine(Policy {
            consecutive_failures: Some(2),
            failure_rate: Some(rate),
            ..policy()
        });
        let (a, b) = (admit(&machine, 0), admit(&machine, 0));
        let (a, b) = race(
            on(&machine, move |machine| {
                settle(machine, a, Effect::Failure, 1)
            }),
            on(&machine, move |machine| {
                settle(machine, b, Effect::Failure, 2)
            }),
        );
        assert_eq!(a.change.iter().chain(&b.change).count(), 1);
        assert_eq!(machine.view().generation, 1);
        assert_eq!(machine.state(), State::Open);
    });
}

#[test]
fn loom_a_late_success_neither_closes_nor_undoes_a_trip() {
    loom::model(|| {
        let machine = machine(policy());
        let (late, failing) = (admit(&machine, 0), admit(&machine, 0));
        let (_, trip) = race(
            on(&machine, move |machine| {
                settle(machine, late, Effect::Success, 1)
            }),
            on(&machine, move |machine| {
                settle(machine, failing, Effect::Failure, 1)
            }),
        );
        assert_eq!(trip.change.unwrap().cause, Cause::ConsecutiveFailures);
        assert_eq!(
            (machine.state(), machine.view().generation),
            (State::Open, 1)
        );
    });
}

#[test]
fn loom_a_late_failure_does_not_decide_a_trial() {
    loom::model(|| {
        let machine = machine(policy());
        let late = admit(&machine, 0);
        let trial = half_open(&machine);
        let (late, trial) = race(
            on(&machine, move |machine| {
                settle(machine, late, Effect::Failure, WAIT)
            }),
            on(&machine, move |machine| {
                settle(machine, trial, Effect::Success, WAIT)
            }),
        );
        assert_eq!(
            late,
            Settled {
                stale: true,
                change: None
            }
        );
        assert_eq!(trial.change.unwrap().to, State::Closed);
        assert_eq!(
            machine.view().phase,
            Phase::Closed {
                held: false,
                failures: 0
            }
        );
    });
}

#[test]
fn loom_of_a_good_and_a_bad_trial_the_first_decides() {
    loom::model(|| {
        let machine = machine(Policy {
            half_open_trials: 2,
            ..policy()
        });
        let good = half_open(&machine);
        let bad = admit(&machine, WAIT);
        let (good, bad) = race(
            on(&machine, move |machine| {
                settle(machine, good, Effect::Success, WAIT)
            }),
            on(&machine, move |machine| {
                settle(machine, bad, Effect::Failure, WAIT)
            }),
        );
        assert!(good.stale != bad.stale);
        assert_eq!(good.change.iter().chain(&bad.change).count(), 1);
        let expected = if good.stale {
            State::Open
        } else {
            State::Closed
        };
        assert_eq!((machine.state(), machine.view().generation), (expected, 3));
    });
}

#[test]
fn loom_nobody_sees_an_open_circuit_without_its_deadline() {
    loom::model(|| {
        let machine = machine(policy());
        let failing = admit(&machine, 0);
        let (_, early) = race(
            on(&machine, move |machine| {
                settle(machine, failing, Effect::Failure, 10)
            }),
            on(&machine, |machine| machine.admit(true, || 50)),
        );
        match early {
            Ok((ticket, _)) => assert!(!ticket.trial, "admitted because it was still closed"),
            Err(denied) => {
                assert!([Some(60), Some(WAIT)].contains(&denied.wait), "{denied:?}");
            }
        }
        assert_eq!(machine.view().open_until, Some(10 + WAIT));
    });
}

#[test]
fn loom_a_call_at_the_deadline_races_with_its_publication() {
    loom::model(|| {
        let machine = machine(policy());
        let failing = admit(&machine, 0);
        let (trip, call) = race(
            on(&machine, move |machine| {
                settle(machine, failing, Effect::Failure, 10)
            }),
            on(&machine, |machine| machine.admit(true, || 10 + WAIT)),
        );
        assert!(trip.change.is_some());
        match call {
            Ok((
                Ticket {
                    trial: true,
                    generation,
                },
                change,
            )) => {
                assert_eq!(generation, 2);
                assert_eq!(change.unwrap().from, State::Open);
                assert_eq!(machine.state(), State::HalfOpen);
            }
            Ok((Ticket { trial: false, .. }, _)) | Err(_) => {
                assert_eq!(machine.state(), State::Open)
            }
        }
    });
}

#[test]
fn loom_a_late_deadline_does_not_replace_a_newer_one() {
    loom::model(|| {
        let machine = machine(policy());
        let failing = admit(&machine, 0);
        race(
            on(&machine, move |machine| {
                settle(machine, failing, Effect::Failure, 10)
            }),
            on(&machine, |machine| {
                machine.manual(Manual::Reset, || 500);
                if let Ok((ticket, _)) = machine.admit(true, || 1_000) {
                    settle(machine, ticket, Effect::Failure, 1_000);
                }
            }),
        );
        let view = machine.view();
        let expected = match view.generation {
            // Reset before the late failure, which is then stale, or after it: either way the last opening is the second.
            2 | 3 => 1_000 + WAIT,
            other => panic!("generation {other}"),
        };
        assert_eq!(view.open_until, Some(expected));
        assert!(machine.admit(true, || expected - 1).is_err());
        assert!(machine.admit(true, || expected).is_ok());
    });
}

#[test]
fn loom_a_result_racing_with_force_open_never_reopens_the_rules() {
    loom::model(|| {
        let machine = machine(policy());
        let trial = half_open(&machine);
        race(
            on(&machine, move |machine| {
                settle(machine, trial, Effect::Success, WAIT)
            }),
            on(&machine, |machine| {
                machine.manual(Manual::ForceOpen, || WAIT)
            }),
        );
        assert!(matches!(
            machine.view().phase,
            Phase::Open { held: true, .. }
        ));
        assert_eq!(machine.admit(true, || u64::MAX).unwrap_err().wait, None);
    });
}

fn window(calls: u32) -> Arc<CountWindow> {
    Arc::new(CountWindow::new(calls))
}

fn recording(window: &Arc<CountWindow>, records: &'static [(u32, bool)]) -> impl FnOnce() + use<> {
    let window = window.clone();
    move || {
        for (generation, failed) in records {
            window.record(*generation, *failed);
        }
    }
}

#[test]
fn loom_the_window_agrees_with_its_slots_when_a_thread_is_lapped() {
    for calls in [1, 2] {
        loom::model(move || {
            let window = window(calls);
            window.record(0, true);
            race(
                recording(&window, &[(0, false)]),
                recording(&window, &[(0, true), (0, false)]),
            );
            let (total, in_slots) = window.audit(0);
            assert_eq!(total, in_slots);
            assert_eq!(window.tally(0).calls, calls);
        });
    }
}

#[test]
fn loom_a_record_of_the_past_does_not_disturb_the_new_window() {
    loom::model(|| {
        let window = window(2);
        window.record(0, true);
        race(
            recording(&window, &[(0, true)]),
            recording(&window, &[(1, false), (1, true)]),
        );
        let expected = Tally {
            calls: 2,
            failures: 1,
        };
        assert_eq!(window.tally(1), expected);
        assert_eq!(window.audit(1), (1, 1));
    });
}
