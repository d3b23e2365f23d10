//! Trials beside each other.

use loom::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::breaker::transition::State;

#[test]
fn loom_trials_never_exceed_the_cap_while_slots_come_back() {
    model(|| {
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
        assert_eq!(phase(&machine), trials(1));
        let closed = settle(&machine, first, Effect::Success, WAIT);
        assert_eq!(closed.change.unwrap().to, State::Closed);
    });
}

#[test]
fn loom_of_a_good_and_a_bad_trial_the_first_decides() {
    model(|| {
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
        assert_eq!((machine.state(), generation(&machine)), (expected, 3));
    });
}

#[test]
fn loom_two_results_that_decide_a_rate_together_make_one_transition() {
    model(|| {
        let machine = machine(Policy {
            half_open_trials: 2,
            trial_rule: TrialRule::Rate {
                trials: 2,
                failures: 2,
            },
            ..policy()
        });
        let a = half_open(&machine);
        let b = admit(&machine, WAIT);
        let (a, b) = race(
            on(&machine, move |machine| {
                settle(machine, a, Effect::Failure, WAIT)
            }),
            on(&machine, move |machine| {
                settle(machine, b, Effect::Failure, WAIT)
            }),
        );
        assert!(!a.stale && !b.stale, "both were needed");
        assert_eq!(a.change.iter().chain(&b.change).count(), 1);
        assert_eq!((machine.state(), generation(&machine)), (State::Open, 3));
    });
}
