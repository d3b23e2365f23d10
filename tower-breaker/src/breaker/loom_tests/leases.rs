//! The end of a lease against the result of its trial.

use super::*;
use crate::breaker::{
    machine::Manual,
    transition::{Cause, State},
};

const LEASE: u64 = 1_000_000;

fn leased(expired: LeaseExpired) -> Arc<Machine> {
    machine(Policy {
        lease: lease(LEASE, expired),
        ..policy()
    })
}

// The lease of a trial that began at `WAIT` is rounded up to this.
const END: u64 = 2 * LEASE;

#[test]
fn loom_either_the_result_of_a_trial_decides_or_the_end_of_its_lease() {
    model(|| {
        let machine = leased(LeaseExpired::Failure);
        let trial = half_open(&machine);
        let (result, expired) = race(
            on(&machine, move |machine| {
                settle(machine, trial, Effect::Success, END)
            }),
            on(&machine, |machine| machine.expire_lease(|| END)),
        );
        match expired {
            Some(expired) => {
                assert!(result.stale && result.change.is_none());
                assert_eq!(expired.change.unwrap().cause, Cause::LeaseExpired);
                assert_eq!(machine.state(), State::Open);
            }
            None => {
                assert_eq!(result.change.unwrap().to, State::Closed);
                assert_eq!(machine.state(), State::Closed);
            }
        }
        assert_eq!(generation(&machine), 3);
    });
}

#[test]
fn loom_a_slot_is_returned_once_by_the_result_or_by_the_lease() {
    model(|| {
        let machine = leased(LeaseExpired::Ignore);
        let trial = half_open(&machine);
        let (result, next) = race(
            on(&machine, move |machine| {
                settle(machine, trial, Effect::Nothing, END)
            }),
            on(&machine, |machine| {
                machine.expire_lease(|| END);
                machine.admit(true, || END).ok()
            }),
        );
        // The other may have come between the two steps of the first; then it was refused.
        assert_eq!(phase(&machine), trials(u32::from(next.is_some())));
        if let Some((ticket, _)) = next {
            assert!(
                settle(&machine, ticket, Effect::Success, END)
                    .change
                    .is_some()
            );
        }
        let _ = result;
    });
}

#[test]
fn loom_a_lease_that_is_taken_late_takes_none_away_from_a_later_episode() {
    model(|| {
        let machine = leased(LeaseExpired::Failure);
        open(&machine, 0);
        let take = |machine: &Machine| machine.admit(true, || WAIT).ok().map(|(ticket, _)| ticket);
        let (_, later) = race(
            on(&machine, take),
            on(&machine, move |machine| {
                machine.manual(Manual::ForceOpenFor(0), || WAIT);
                take(machine)
            }),
        );
        // Or the first one was the trial of that opening.
        if let Some(later) = later {
            let settled = settle(&machine, later, Effect::Success, WAIT);
            assert!(!settled.stale, "it still had its lease");
            assert_eq!(machine.state(), State::Closed);
        }
    });
}

#[test]
fn loom_every_trial_finds_a_cell_while_others_leave_theirs() {
    model(|| {
        let machine = machine(Policy {
            half_open_trials: 2,
            lease: lease(LEASE, LeaseExpired::Failure),
            ..policy()
        });
        let first = half_open(&machine);
        let take = |machine: &Machine| machine.admit(true, || WAIT).ok().map(|(ticket, _)| ticket);
        let ((), second) = race(
            on(&machine, move |machine| {
                settle(machine, first, Effect::Nothing, WAIT);
            }),
            on(&machine, take),
        );
        let second = second.expect("there was room for two");
        assert!(matches!(second.standing(), Standing::Trial(Some(_))));
    });
}

#[test]
fn loom_a_lease_that_was_aside_is_taken_up_or_taken_away() {
    loom::model(|| {
        let machine = leased(LeaseExpired::Failure);
        let trial = half_open(&machine);
        let Standing::Trial(Some(lease)) = trial.standing() else {
            panic!("it has a lease");
        };
        machine.set_lease_aside(lease);
        let (result, expired) = race(
            on(&machine, move |machine| {
                let lease = machine.take_lease_up(lease, LEASE);
                let trial = Ticket::trial(trial.generation(), Some(lease));
                settle(machine, trial, Effect::Success, END)
            }),
            on(&machine, |machine| machine.expire_lease(|| END)),
        );
        match expired {
            // Nobody's failure, and the slot is free.
            Some(expired) => {
                assert!(!expired.stale && !expired.failed_trial && expired.change.is_none());
                assert!(result.stale && result.change.is_none());
                assert_eq!(machine.state(), State::HalfOpen);
                assert!(machine.admit(true, || END).is_ok());
            }
            None => assert_eq!(result.change.unwrap().to, State::Closed),
        }
    });
}
