//! Hands against results.

use super::*;
use crate::{
    Reason,
    breaker::{machine::Manual, transition::State},
};

#[test]
fn loom_a_result_racing_with_force_open_never_reopens_the_rules() {
    model(|| {
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
        assert!(matches!(phase(&machine), Phase::Open { held: true, .. }));
        let denied = machine.admit(true, || u64::MAX).unwrap_err();
        assert_eq!(denied.reason(), Reason::ForcedOpen);
    });
}

#[test]
fn loom_a_failure_racing_with_force_closed_for_does_not_open_it() {
    model(|| {
        let machine = machine(policy());
        let failing = admit(&machine, 0);
        race(
            on(&machine, move |machine| {
                settle(machine, failing, Effect::Failure, 1)
            }),
            on(&machine, |machine| {
                machine.manual(Manual::ForceClosedFor(WAIT), || 1)
            }),
        );
        assert_eq!(machine.state(), State::Closed);
        let held = machine.view(0).until;
        assert_eq!(held, Some(1 + WAIT));
        // When it is over, the rules are there again.
        let (ticket, change) = machine.admit(true, || 1 + WAIT).unwrap();
        assert!(change.is_some());
        assert!(
            settle(&machine, ticket, Effect::Failure, 2 + WAIT)
                .change
                .is_some()
        );
    });
}

#[test]
fn loom_two_hands_make_two_transitions_in_some_order() {
    model(|| {
        let machine = machine(policy());
        let (a, b) = race(
            on(&machine, |machine| machine.manual(Manual::ForceOpen, || 1)),
            on(&machine, |machine| machine.manual(Manual::Reset, || 1)),
        );
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.generation + b.generation, 3);
        let (first, last) = if a.generation == 1 { (a, b) } else { (b, a) };
        assert_eq!((first.from, last.from), (State::Closed, first.to));
        assert_eq!(machine.state(), last.to);
    });
}
