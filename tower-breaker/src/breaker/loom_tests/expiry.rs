//! Admission against the end of the open wait.

use std::time::Duration;

use super::*;
use crate::{
    Reason,
    breaker::{machine::Manual, transition::State},
};

#[test]
fn loom_two_calls_at_the_expiry_make_one_transition_and_one_trial() {
    model(|| {
        let machine = machine(policy());
        open(&machine, 0);
        let try_it = |machine: &Machine| machine.admit(true, || WAIT);
        let (a, b): (Admitted, Admitted) = race(on(&machine, try_it), on(&machine, try_it));
        let (admitted, refused) = if a.is_ok() { (a, b) } else { (b, a) };
        let (ticket, change) = admitted.unwrap();
        assert_eq!(ticket, Ticket::trial(2, None));
        assert_eq!(change.unwrap().to, State::HalfOpen);
        assert_eq!(refused.unwrap_err().reason(), Reason::HalfOpenFull);
        assert_eq!(phase(&machine), trials(1));
    });
}

#[test]
fn loom_a_timer_and_a_call_at_the_expiry_make_one_transition() {
    model(|| {
        let machine = machine(policy());
        open(&machine, 0);
        let (timer, call) = race(
            on(&machine, |machine| machine.elapse(|| WAIT)),
            on(&machine, |machine| machine.admit(true, || WAIT)),
        );
        let (ticket, change) = call.unwrap();
        assert!(ticket.is_trial());
        assert_eq!(timer.iter().chain(&change).count(), 1);
        assert_eq!((generation(&machine), phase(&machine)), (2, trials(1)));
    });
}

#[test]
fn loom_nobody_sees_an_open_circuit_without_its_deadline() {
    model(|| {
        let machine = machine(policy());
        let failing = admit(&machine, 0);
        let (_, early) = race(
            on(&machine, move |machine| {
                settle(machine, failing, Effect::Failure, 10)
            }),
            on(&machine, |machine| machine.admit(true, || 50)),
        );
        match early {
            Ok((ticket, _)) => assert!(!ticket.is_trial(), "admitted as it was still closed"),
            Err(denied) => {
                let known = Some(Duration::from_nanos(60));
                assert!([known, None].contains(&denied.wait()), "{denied:?}");
            }
        }
        assert_eq!(machine.view(0).until, Some(10 + WAIT));
    });
}

#[test]
fn loom_a_call_at_the_deadline_races_with_its_publication() {
    model(|| {
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
            Ok((ticket, change)) if ticket.is_trial() => {
                assert_eq!(ticket.generation(), 2);
                assert_eq!(change.unwrap().from, State::Open);
                assert_eq!(machine.state(), State::HalfOpen);
            }
            Ok(_) | Err(_) => assert_eq!(machine.state(), State::Open),
        }
    });
}

#[test]
fn loom_a_late_deadline_does_not_replace_a_newer_one() {
    model(|| {
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
        // Reset before the late failure, which is then stale, or after it: either way the last opening is the second.
        assert!([2, 3].contains(&generation(&machine)));
        let expected = 1_000 + WAIT;
        assert_eq!(machine.view(0).until, Some(expected));
        assert!(machine.admit(true, || expected - 1).is_err());
        assert!(machine.admit(true, || expected).is_ok());
    });
}
