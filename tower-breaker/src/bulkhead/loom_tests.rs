//! Every interleaving of the decisive moments of the gate, by loom; run by `.ci/loom`.
//!
//! Each model first brings the gate to the moment in question on one thread, then lets two threads loose on it.

use std::{
    cell::Cell,
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
    gate::{Answer, Entry, Gate, Settings},
    partition::{Partition, PriorityShares},
    place::{Place, Priority},
    queue::Seat,
};

const PLAIN: Place = Place::PLAIN;

fn divided(max_concurrent: usize, max_queue: usize, partitions: Vec<Partition>) -> Arc<Gate> {
    Arc::new(Gate::new(Settings {
        name: Arc::from("model"),
        max_concurrent,
        max_queue,
        max_wait: None,
        partitions,
        priority_shares: PriorityShares::NONE,
        dry_run: false,
        listeners: Vec::new(),
    }))
}

fn gate(max_concurrent: usize, max_queue: usize) -> Arc<Gate> {
    divided(max_concurrent, max_queue, Vec::new())
}

fn try_enter(gate: &Gate) -> bool {
    gate.try_enter(PLAIN, false)
}

fn enter(gate: &Gate) {
    assert!(try_enter(gate));
}

fn release(gate: &Gate) {
    gate.release(PLAIN);
}

fn queue_at(gate: &Gate, place: Place) -> Seat {
    match gate.enter_or_queue(place) {
        Entry::Queued(seat) => seat,
        Entry::Admitted | Entry::Full => panic!("not queued"),
    }
}

fn queue(gate: &Gate) -> Seat {
    queue_at(gate, PLAIN)
}

std::thread_local! {
    // Loom runs its threads on one thread of the system.
    static FIRST_AHEAD: Cell<bool> = const { Cell::new(false) };
}

/// Explores twice, once with each of those who [`race`] ahead: see `breaker::loom_tests::model`.
fn model(run: impl Fn() + Copy + Send + Sync + 'static) {
    for first_ahead in [false, true] {
        FIRST_AHEAD.set(first_ahead);
        loom::model(run);
    }
}

// For what would take minutes otherwise: every interleaving in which each thread is interrupted at most so often.
fn bounded(run: impl Fn() + Copy + Send + Sync + 'static) {
    for first_ahead in [false, true] {
        FIRST_AHEAD.set(first_ahead);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(4);
        builder.check(run);
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
    gate.pick_up(seat, waker, Duration::ZERO) == Answer::Granted
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
    if FIRST_AHEAD.get() {
        thread::yield_now();
    }
    let found = second(gate);
    other.join().unwrap();
    found
}

#[test]
fn one_permit_lets_one_call_in_at_a_time() {
    model(|| {
        let gate = gate(1, 0);
        let work = Arc::new(UnsafeCell::new(0));
        // Loom sees two accesses at once, and an access that does not see the one before.
        let call = |work: Arc<UnsafeCell<i32>>| {
            move |gate: &Gate| {
                if try_enter(gate) {
                    work.with_mut(|_| ());
                    release(&gate);
                }
            }
        };
        race(&gate, call(work.clone()), call(work));
        assert_load(&gate, 0, 0);
    });
}

#[test]
fn a_permit_is_handed_over_with_all_that_was_done_under_it() {
    model(|| {
        let gate = gate(1, 1);
        let work = Arc::new(UnsafeCell::new(0));
        enter(&gate);
        let seat = queue(&gate);
        let before = work.clone();
        race(
            &gate,
            move |gate| {
                before.with_mut(|_| ());
                release(&gate);
            },
            |gate| {
                while !pick_up(gate, seat, Waker::noop()) {
                    thread::yield_now();
                }
                work.with_mut(|_| ());
                release(&gate);
            },
        );
        assert_load(&gate, 0, 0);
    });
}

#[test]
fn a_call_that_queues_while_the_permit_comes_back_gets_it() {
    model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let (flag, waker) = Flag::new();
        let entry = race(&gate, release, |gate| {
            let entry = gate.enter_or_queue(PLAIN);
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
    model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let seat = queue(&gate);
        let (flag, waker) = Flag::new();
        if !race(&gate, release, |gate| pick_up(gate, seat, &waker)) {
            assert!(flag.is_up());
            assert!(pick_up(&gate, seat, &waker));
        }
        assert_load(&gate, 1, 0);
    });
}

#[test]
fn a_permit_on_its_way_to_a_waiter_that_leaves_is_not_lost() {
    model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let seat = queue(&gate);
        race(&gate, release, |gate| gate.abandon(seat, PLAIN));
        assert_load(&gate, 0, 0);
        enter(&gate);
    });
}

#[test]
fn a_permit_on_its_way_to_a_waiter_that_leaves_goes_to_the_next() {
    model(|| {
        let gate = gate(1, 2);
        enter(&gate);
        let (first, second) = (queue(&gate), queue(&gate));
        let (flag, waker) = Flag::new();
        assert!(!pick_up(&gate, second, &waker));
        race(&gate, release, |gate| gate.abandon(first, PLAIN));
        assert!(flag.is_up());
        assert!(pick_up(&gate, second, &waker));
        assert_load(&gate, 1, 0);
    });
}

#[test]
fn a_time_limit_that_passes_while_the_permit_comes_leaves_exactly_one_of_both() {
    model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let seat = queue(&gate);
        if race(&gate, release, |gate| {
            gate.give_up(seat, Duration::ZERO) == Answer::Granted
        }) {
            assert_load(&gate, 1, 0);
            release(&gate);
        }
        assert_load(&gate, 0, 0);
    });
}

#[test]
fn two_permits_that_come_back_at_once_serve_two_waiters() {
    bounded(|| {
        let gate = gate(2, 2);
        enter(&gate);
        enter(&gate);
        let (first, second) = (queue(&gate), queue(&gate));
        race(&gate, release, release);
        assert_load(&gate, 2, 0);
        assert!(pick_up(&gate, first, Waker::noop()));
        assert!(pick_up(&gate, second, Waker::noop()));
    });
}

#[test]
fn two_permits_that_come_back_at_once_and_one_waiter_leave_one_free() {
    model(|| {
        let gate = gate(2, 1);
        enter(&gate);
        enter(&gate);
        let seat = queue(&gate);
        race(&gate, release, release);
        assert_load(&gate, 1, 0);
        assert!(pick_up(&gate, seat, Waker::noop()));
        enter(&gate);
    });
}

#[test]
fn nobody_overtakes_a_waiter() {
    model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let seat = queue(&gate);
        assert!(!race(&gate, release, try_enter));
        assert!(pick_up(&gate, seat, Waker::noop()));
        assert_load(&gate, 1, 0);
    });
}

#[test]
fn the_last_place_in_the_queue_is_given_once() {
    model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let queues = |gate: &Gate| matches!(gate.enter_or_queue(PLAIN), Entry::Queued(_));
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
    model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let (flag, waker) = Flag::new();
        let entry = race(
            &gate,
            |gate| gate.set_limit(2),
            |gate| match gate.enter_or_queue(PLAIN) {
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
    bounded(|| {
        let gate = gate(1, 2);
        enter(&gate);
        let (first, second) = (queue(&gate), queue(&gate));
        race(&gate, release, |gate| gate.set_limit(2));
        assert_load(&gate, 2, 0);
        assert!(pick_up(&gate, first, Waker::noop()));
        assert!(pick_up(&gate, second, Waker::noop()));
    });
}

#[test]
fn no_call_is_admitted_by_a_limit_that_has_been_lowered() {
    model(|| {
        let gate = gate(2, 0);
        enter(&gate);
        let entered = race(
            &gate,
            |gate| {
                gate.set_limit(1);
                let then = gate.snapshot().in_flight;
                thread::yield_now();
                assert!(gate.snapshot().in_flight <= then);
            },
            try_enter,
        );
        assert_load(&gate, 1 + usize::from(entered), 0);
    });
}

#[test]
fn a_limit_that_shrinks_while_a_permit_comes_back_lets_nobody_in() {
    model(|| {
        let gate = gate(2, 1);
        enter(&gate);
        enter(&gate);
        gate.set_limit(1);
        let seat = queue(&gate);
        race(&gate, release, |gate| {
            assert!(!pick_up(gate, seat, Waker::noop()));
        });
        assert_load(&gate, 1, 1);
        release(&gate);
        assert!(pick_up(&gate, seat, Waker::noop()));
        assert_load(&gate, 1, 0);
    });
}

#[test]
fn a_permit_that_comes_back_while_a_more_important_call_queues_goes_to_it_or_to_who_waits() {
    model(|| {
        let gate = gate(1, 2);
        enter(&gate);
        let low = PLAIN.with_priority(Priority::Low);
        let high = PLAIN.with_priority(Priority::High);
        let waiting = queue_at(&gate, low);
        let entry = race(&gate, release, |gate| gate.enter_or_queue(high));
        let waits_on = match entry {
            Entry::Admitted => true,
            Entry::Queued(seat) => pick_up(&gate, seat, Waker::noop()),
            Entry::Full => panic!("refused with room in the queue"),
        };
        // Exactly one of the two has it.
        assert_ne!(waits_on, pick_up(&gate, waiting, Waker::noop()));
        assert_load(&gate, 1, 1);
    });
}

#[test]
fn a_permit_on_its_way_to_a_waiter_that_is_displaced_is_not_lost() {
    model(|| {
        let gate = gate(1, 1);
        enter(&gate);
        let waiting = queue_at(&gate, PLAIN.with_priority(Priority::Low));
        let entry = race(&gate, release, |gate| {
            gate.enter_or_queue(PLAIN.with_priority(Priority::High))
        });
        let first = gate.pick_up(waiting, Waker::noop(), Duration::ZERO);
        let second = match entry {
            Entry::Admitted => Answer::Granted,
            Entry::Queued(seat) => gate.pick_up(seat, Waker::noop(), Duration::ZERO),
            Entry::Full => panic!("there was somebody to displace"),
        };
        // The third is who finds the permit that has just come back, and needs no place in the queue.
        assert!(matches!(
            (first, second),
            (Answer::Displaced, Answer::Granted)
                | (Answer::Granted, Answer::NotYet)
                | (Answer::NotYet, Answer::Granted)
        ));
        assert_eq!(gate.in_flight(), 1);
    });
}

#[test]
fn who_asks_whose_turn_it_is_takes_nobodys_place_in_the_queue() {
    model(|| {
        let mut priority_shares = PriorityShares::NONE;
        priority_shares.set(Priority::Low, 0.5);
        let gate = Arc::new(Gate::new(Settings {
            name: Arc::from("model"),
            max_concurrent: 2,
            max_queue: 2,
            max_wait: None,
            partitions: Vec::new(),
            priority_shares,
            dry_run: false,
            listeners: Vec::new(),
        }));
        let low = PLAIN.with_priority(Priority::Low);
        let high = PLAIN.with_priority(Priority::High);
        assert!(gate.try_enter(low, false));
        let _first = queue_at(&gate, low);
        // The permit that is free is for the other priorities only.
        race(
            &gate,
            move |gate| assert!(gate.try_enter(high, false)),
            |gate| {
                queue_at(gate, low);
            },
        );
        assert_load(&gate, 2, 2);
    });
}

// One permit guaranteed to the partition, one in the pool.
fn halved(max_queue: usize) -> (Arc<Gate>, Place) {
    let partitions = vec![Partition::new("a").guaranteed(0.5)];
    (divided(2, max_queue, partitions), PLAIN.with_partition(0))
}

#[test]
fn a_guaranteed_permit_and_a_borrowed_one_that_come_back_at_once_are_both_there() {
    model(|| {
        let (gate, place) = halved(0);
        assert!(gate.try_enter(place, false) && gate.try_enter(place, false));
        race(
            &gate,
            move |gate| gate.release(place),
            |gate| gate.release(place),
        );
        assert_load(&gate, 0, 0);
        enter(&gate);
        assert!(!try_enter(&gate) && gate.try_enter(place, false));
    });
}

#[test]
fn who_borrows_while_a_guaranteed_permit_comes_back_takes_one_of_them() {
    model(|| {
        let (gate, place) = halved(0);
        assert!(gate.try_enter(place, false));
        race(
            &gate,
            move |gate| gate.release(place),
            |gate| assert!(gate.try_enter(place, false)),
        );
        // The one in the partition is the guaranteed one: the pool's is free.
        assert_load(&gate, 1, 0);
        enter(&gate);
    });
}

#[test]
fn a_guaranteed_permit_that_comes_back_while_its_partition_queues_is_granted() {
    model(|| {
        let (gate, place) = halved(2);
        enter(&gate);
        assert!(gate.try_enter(place, false));
        let (flag, waker) = Flag::new();
        let seat = race(
            &gate,
            move |gate| gate.release(place),
            |gate| match gate.enter_or_queue(place) {
                Entry::Queued(seat) => (!pick_up(gate, seat, &waker)).then_some(seat),
                Entry::Admitted => None,
                Entry::Full => panic!("refused with room in the queue"),
            },
        );
        if let Some(seat) = seat {
            assert!(flag.is_up(), "granted and not woken");
            assert!(pick_up(&gate, seat, &waker));
        }
        assert_load(&gate, 2, 0);
    });
}

#[test]
fn a_limit_that_moves_a_guarantee_while_a_permit_comes_back_loses_none() {
    model(|| {
        let (gate, place) = halved(0);
        assert!(gate.try_enter(place, false) && gate.try_enter(place, false));
        // To 2 and 2, with what was borrowed from the pool.
        race(
            &gate,
            move |gate| gate.release(place),
            |gate| gate.set_limit(4),
        );
        assert_load(&gate, 1, 0);
        gate.set_limit(2);
        assert_load(&gate, 1, 0);
        gate.release(place);
        assert_load(&gate, 0, 0);
        assert!(gate.try_enter(place, false) && try_enter(&gate) && !try_enter(&gate));
    });
}

#[test]
fn who_watches_while_the_permit_comes_back_sees_it_or_is_woken() {
    model(|| {
        let gate = gate(1, 0);
        enter(&gate);
        let (flag, waker) = Flag::new();
        let is_full = race(&gate, release, |gate| {
            let mut post = None;
            gate.watch(&mut post, &waker);
            gate.is_full(PLAIN)
        });
        assert!(!is_full || flag.is_up());
    });
}
