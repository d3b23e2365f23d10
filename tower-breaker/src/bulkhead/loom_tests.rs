//! Every interleaving of the decisive moments of the gate, by loom; run by `.ci/loom`.
//!
//! Each model first brings the gate to the moment in question on one thread, then lets two threads loose on it.

use std::{
    sync::Arc,
    task::{Wake, Waker},
    time::Duration,
};

use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::{
    gate::{Entry, Gate, Settings},
    queue::Seat,
};

fn gate(max_concurrent: usize, max_queue: usize) -> Arc<Gate> {
    let name = Arc::from("model");
    Arc::new(Gate::new(Settings {
        name,
        max_concurrent,
        max_queue,
        max_wait: None,
    }))
}

fn enter(gate: &Gate) {
    assert!(gate.try_enter());
}

fn queue(gate: &Gate) -> Seat {
    match gate.enter_or_queue() {
        Entry::Queued(seat) => seat,
        Entry::Admitted | Entry::Full => panic!("not queued"),
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Flag {
    fn new() -> (Arc<Self>, Waker) {
        let flag = Arc::new(Self(AtomicBool::new(false)));
        (flag.clone(), flag.into())
    }

    fn is_up(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

fn pick_up(gate: &Gate, seat: Seat, waker: &Waker) -> bool {
    gate.pick_up(seat, waker, Duration::ZERO)
}

fn assert_load(gate: &Gate, in_flight: usize, queued: usize) {
    let snapshot = gate.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued), (in_flight, queued));
}

// Runs the two at once, and gives what the second found.
fn race<T: 'static>(
    gate: &Arc<Gate>,
    first: impl FnOnce(&Gate) + 'static,
    second: impl FnOnce(&Gate) -> T,
) -> T {
    let shared = gate.clone();
    let other = thread::spawn(move || first(&shared));
    let found = second(gate);
    other.join().unwrap();
    found
}

#[test]
fn one_permit_lets_one_call_in_at_a_time() {
    loom::model(|| {
        let gate = gate(1, 0);
        let work = Arc::new(UnsafeCell::new(0));
        // Loom sees two accesses at once, and an access that does not see the one before.
        let call = |work: Arc<UnsafeCell<i32>>| {
            move |gate: &Gate| {
                if gate.try_enter() {
                    work.with_mut(|_| ());
                    gate.release();
                }
            }
        };
        race(&gate, call(work.clone()), call(work));
        assert_load(&gate, 0, 0);
    });
}

#[test]
fn a_permit_is_handed_over_with_all_that_was_done_under_it() {
    loom::model(|| {
        let gate = gate(1, 1);
        let work = Arc::new(UnsafeCell::new(0));
        enter(&gate);
        let seat = queue(&gate);
        let before = work.clone();
        race(
            &gate,
            move |gate| {
                before.with_mut(|_| ());
                gate.release();
            },
            |gate| {
                while !pick_up(gate, seat, Waker::noop()) {
                    thread::yield_now();
                }
                work.with_mut(|_| ());
                gate.release();
            },
        );
        assert_load(&gate, 0, 0);
    });
}

#[test]
fn a_call_that_queues_while_the_permit_comes_back_gets_it() {
    loom::model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let (flag, waker) = Flag::new();
        let entry = race(&gate, Gate::release, |gate| {
            let entry = gate.enter_or_queue();
            if let Entry::Queued(seat) = entry {
                return (!pick_up(gate, seat, &waker)).then_some(seat);
            }
            assert!(
                matches!(entry, Entry::Admitted),
                "refused with an empty queue"
            );
            None
        });
        if let Some(seat) = entry {
            assert!(flag.is_up(), "granted and not woken");
            assert!(pick_up(&gate, seat, &waker));
        }
        assert_load(&gate, 1, 0);
    });
}

#[test]
fn a_waiter_that_looks_while_the_permit_comes_is_woken_or_sees_it() {
    loom::model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let seat = queue(&gate);
        let (flag, waker) = Flag::new();
        if !race(&gate, Gate::release, |gate| pick_up(gate, seat, &waker)) {
            assert!(flag.is_up());
            assert!(pick_up(&gate, seat, &waker));
        }
        assert_load(&gate, 1, 0);
    });
}

#[test]
fn a_permit_on_its_way_to_a_waiter_that_leaves_is_not_lost() {
    loom::model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let seat = queue(&gate);
        race(&gate, Gate::release, |gate| gate.abandon(seat));
        assert_load(&gate, 0, 0);
        enter(&gate);
    });
}

#[test]
fn a_permit_on_its_way_to_a_waiter_that_leaves_goes_to_the_next() {
    loom::model(|| {
        let gate = gate(1, 2);
        enter(&gate);
        let (first, second) = (queue(&gate), queue(&gate));
        let (flag, waker) = Flag::new();
        assert!(!pick_up(&gate, second, &waker));
        race(&gate, Gate::release, |gate| gate.abandon(first));
        assert!(flag.is_up());
        assert!(pick_up(&gate, second, &waker));
        assert_load(&gate, 1, 0);
    });
}

#[test]
fn a_time_limit_that_passes_while_the_permit_comes_leaves_exactly_one_of_both() {
    loom::model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let seat = queue(&gate);
        if race(&gate, Gate::release, |gate| {
            gate.give_up(seat, Duration::ZERO)
        }) {
            assert_load(&gate, 1, 0);
            gate.release();
        }
        assert_load(&gate, 0, 0);
    });
}

#[test]
fn two_permits_that_come_back_at_once_serve_two_waiters() {
    loom::model(|| {
        let gate = gate(2, 2);
        enter(&gate);
        enter(&gate);
        let (first, second) = (queue(&gate), queue(&gate));
        race(&gate, Gate::release, Gate::release);
        assert_load(&gate, 2, 0);
        assert!(pick_up(&gate, first, Waker::noop()));
        assert!(pick_up(&gate, second, Waker::noop()));
    });
}

#[test]
fn two_permits_that_come_back_at_once_and_one_waiter_leave_one_free() {
    loom::model(|| {
        let gate = gate(2, 1);
        enter(&gate);
        enter(&gate);
        let seat = queue(&gate);
        race(&gate, Gate::release, Gate::release);
        assert_load(&gate, 1, 0);
        assert!(pick_up(&gate, seat, Waker::noop()));
        enter(&gate);
    });
}

#[test]
fn nobody_overtakes_a_waiter() {
    loom::model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let seat = queue(&gate);
        assert!(!race(&gate, Gate::release, Gate::try_enter));
        assert!(pick_up(&gate, seat, Waker::noop()));
        assert_load(&gate, 1, 0);
    });
}

#[test]
fn the_last_place_in_the_queue_is_given_once() {
    loom::model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let queues = |gate: &Gate| matches!(gate.enter_or_queue(), Entry::Queued(_));
        let other = Arc::new(AtomicBool::new(false));
        let shared = other.clone();
        let queued = race(
            &gate,
            move |gate| shared.store(queues(gate), Ordering::Release),
            queues,
        );
        assert_ne!(queued, other.load(Ordering::Acquire));
        assert_load(&gate, 1, 1);
    });
}

#[test]
fn a_limit_that_grows_while_a_call_queues_lets_it_in() {
    loom::model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let (flag, waker) = Flag::new();
        let entry = race(
            &gate,
            |gate| gate.set_limit(2),
            |gate| match gate.enter_or_queue() {
                Entry::Queued(seat) => (!pick_up(gate, seat, &waker)).then_some(seat),
                Entry::Admitted => None,
                Entry::Full => panic!("refused with an empty queue"),
            },
        );
        if let Some(seat) = entry {
            assert!(flag.is_up(), "granted and not woken");
            assert!(pick_up(&gate, seat, &waker));
        }
        assert_load(&gate, 2, 0);
    });
}

#[test]
fn a_limit_that_grows_while_a_permit_comes_back_serves_two() {
    loom::model(|| {
        let gate = gate(1, 2);
        enter(&gate);
        let (first, second) = (queue(&gate), queue(&gate));
        race(&gate, Gate::release, |gate| gate.set_limit(2));
        assert_load(&gate, 2, 0);
        assert!(pick_up(&gate, first, Waker::noop()));
        assert!(pick_up(&gate, second, Waker::noop()));
    });
}

#[test]
fn no_call_is_admitted_by_a_limit_that_has_been_lowered() {
    loom::model(|| {
        let gate = gate(2, 0);
        enter(&gate);
        let entered = race(
            &gate,
            |gate| {
                gate.set_limit(1);
                let then = gate.snapshot().in_flight;
                assert!(gate.snapshot().in_flight <= then);
            },
            Gate::try_enter,
        );
        assert_load(&gate, 1 + usize::from(entered), 0);
    });
}

#[test]
fn a_limit_that_shrinks_while_a_permit_comes_back_lets_nobody_in() {
    loom::model(|| {
        let gate = gate(2, 1);
        enter(&gate);
        enter(&gate);
        gate.set_limit(1);
        let seat = queue(&gate);
        race(&gate, Gate::release, |gate| {
            assert!(!pick_up(gate, seat, Waker::noop()));
        });
        assert_load(&gate, 1, 1);
        gate.release();
        assert!(pick_up(&gate, seat, Waker::noop()));
        assert_load(&gate, 1, 0);
    });
}
