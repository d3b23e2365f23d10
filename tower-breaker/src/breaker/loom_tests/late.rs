//! Results that come late.

use super::*;
use crate::breaker::{
    machine::Manual,
    transition::{Cause, State},
};

#[test]
fn loom_a_late_success_neither_closes_nor_undoes_a_trip() {
    model(|| {
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
        assert_eq!((machine.state(), generation(&machine)), (State::Open, 1));
    });
}

#[test]
fn loom_a_late_failure_does_not_decide_a_trial() {
    model(|| {
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
        assert!(late.stale && late.change.is_none());
        assert_eq!(trial.change.unwrap().to, State::Closed);
        assert!(matches!(phase(&machine), Phase::Closed { failures: 0, .. }));
    });
}

fn windowed() -> Arc<Machine> {
    machine(Policy {
        consecutive_failures: None,
        rates: vec![rate(Over::Calls(2), 2, 1.0)],
        ..policy()
    })
}

// (calls, hits) of the one rule.
fn seen(machine: &Machine) -> (u32, u32) {
    let reading = machine.view(0).readings[0];
    (reading.1, reading.2)
}

#[test]
fn loom_a_result_gets_into_the_window_of_its_own_episode_or_into_none() {
    model(|| {
        let machine = windowed();
        let late = admit(&machine, 0);
        let ((), ()) = race(
            on(&machine, move |machine| {
                settle(machine, late, Effect::Failure, 1);
            }),
            on(&machine, |machine| {
                machine.manual(Manual::Reset, || 2);
                let ticket = admit(machine, 2);
                settle(machine, ticket, Effect::Success, 2);
            }),
        );
        assert_eq!(seen(&machine), (1, 0));
        assert_eq!(machine.state(), State::Closed);
    });
}

#[test]
fn loom_two_who_find_the_windows_uncleared_lose_no_result() {
    model(|| {
        let machine = windowed();
        let old = admit(&machine, 0);
        settle(&machine, old, Effect::Failure, 0);
        // One resets, and may be held up before it has cleared; the other gets its ticket from the new episode, if it is there.
        let (_, recorded) = race(
            on(&machine, |machine| machine.manual(Manual::Reset, || 2)),
            on(&machine, |machine| {
                let ticket = admit(machine, 2);
                settle(machine, ticket, Effect::Success, 2);
                ticket.generation() == 1
            }),
        );
        let expected = if recorded { (1, 0) } else { (0, 0) };
        assert_eq!(seen(&machine), expected);
    });
}
