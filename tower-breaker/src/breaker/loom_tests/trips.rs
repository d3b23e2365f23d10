//! Results that open the circuit.

use super::*;
use crate::breaker::transition::State;

fn two_failures(policy: Policy) -> (Arc<Machine>, Settled, Settled) {
    let machine = machine(policy);
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
    assert_eq!((machine.state(), generation(&machine)), (State::Open, 1));
    (machine, a, b)
}

#[test]
fn loom_two_failures_that_each_trip_make_one_transition() {
    model(|| {
        let (machine, a, b) = two_failures(policy());
        assert!(a.stale != b.stale, "the later one is of the past");
        let at = a.change.or(b.change).unwrap().at;
        assert_eq!(machine.view(0).until, Some(at + WAIT));
    });
}

#[test]
fn loom_both_rules_tripping_at_once_make_one_transition() {
    model(|| {
        two_failures(Policy {
            consecutive_failures: Some(2),
            rates: vec![rate(Over::Calls(2), 2, 0.5)],
            ..policy()
        });
    });
}

#[test]
fn loom_two_failures_in_a_window_of_time_are_seen_together() {
    model(|| {
        let over = Over::Time {
            window: 1_000,
            slices: 1,
        };
        two_failures(Policy {
            consecutive_failures: None,
            rates: vec![rate(over, 2, 1.0)],
            ..policy()
        });
    });
}
