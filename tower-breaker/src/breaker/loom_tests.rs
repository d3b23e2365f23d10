//! Every interleaving of the decisive moments, by loom:
//!
//! `RUSTFLAGS="--cfg breaker_loom" CARGO_TARGET_DIR=target/loom cargo test -p tower-breaker --release --lib loom`
//!
//! Each model first brings the machine to the moment in question on one thread, then lets two threads loose on it.

mod expiry;
mod force;
mod late;
mod leases;
mod trials;
mod trips;
mod windows;

use std::cell::Cell;

use loom::{sync::Arc, thread};

use super::{
    machine::{Change, Denied, Effect, Machine, Report, Settled, Standing, Ticket},
    policy::{Kind, Lease, LeaseExpired, Over, Policy, RateRule, TrialRule, Wait},
    word::Phase,
};

const WAIT: u64 = 100;

fn policy() -> Policy {
    Policy {
        consecutive_failures: Some(1),
        rates: Vec::new(),
        slow_call: None,
        open_wait: Wait::Fixed(WAIT),
        stable_after: 0,
        retry_after_cap: None,
        half_open_trials: 1,
        trial_rule: TrialRule::Successes(1),
        lease: None,
        ramp: None,
    }
}

fn rate(over: Over, minimum_calls: u32, threshold: f64) -> RateRule {
    RateRule {
        kind: Kind::Failures,
        over,
        minimum_calls,
        minimum_hits: 1,
        threshold,
    }
}

fn lease(time: u64, expired: LeaseExpired) -> Option<Lease> {
    Some(Lease { time, expired })
}

fn machine(policy: Policy) -> Arc<Machine> {
    Arc::new(Machine::new(policy, 0))
}

fn admit(machine: &Machine, now: u64) -> Ticket {
    machine.admit(true, || now).unwrap().0
}

fn settle(machine: &Machine, ticket: Ticket, effect: Effect, now: u64) -> Settled {
    let report = Report {
        effect,
        slow: false,
        hint: None,
    };
    machine.settle(ticket, report, None, || now)
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

fn phase(machine: &Machine) -> Phase {
    machine.view(0).phase
}

fn trials(in_flight: u32) -> Phase {
    Phase::HalfOpen {
        in_flight,
        successes: 0,
        failures: 0,
        attempt: 0,
    }
}

fn generation(machine: &Machine) -> u32 {
    machine.view(0).generation
}

thread_local! {
    // Loom runs its threads on one thread of the system.
    static SECOND_FIRST: Cell<bool> = const { Cell::new(false) };
}

/// Explores twice, once with each of those who [`race`] ahead.
///
/// Loom 0.7 takes a read after another thread's read for ordered by it. So of a thread that reads and then writes, and one that has
/// read before, it never tries what the latter would read after the write; with the writer ahead it tries both.
fn model(run: impl Fn() + Copy + Sync + Send + 'static) {
    for second_first in [false, true] {
        SECOND_FIRST.set(second_first);
        loom::model(run);
    }
}

/// Runs the two beside each other and gives what both gave.
fn race<A: 'static, B: 'static>(
    a: impl FnOnce() -> A + 'static,
    b: impl FnOnce() -> B + 'static,
) -> (A, B) {
    // The first that is spawned is the first to run.
    if SECOND_FIRST.get() {
        let b = thread::spawn(b);
        let a = thread::spawn(a);
        (a.join().unwrap(), b.join().unwrap())
    } else {
        let a = thread::spawn(a);
        let b = thread::spawn(b);
        (a.join().unwrap(), b.join().unwrap())
    }
}

fn on<T, F>(machine: &Arc<Machine>, run: F) -> impl FnOnce() -> T + use<T, F>
where
    F: FnOnce(&Machine) -> T,
{
    let machine = machine.clone();
    move || run(&machine)
}

type Admitted = Result<(Ticket, Option<Change>), Denied>;
