//! What a limit that changes does to who runs and who waits.

use std::{
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_test::{assert_pending, assert_ready, task};
use tower_breaker::{
    Bulkhead,
    bulkhead::{
        Outcome, Partition,
        limit::{Algorithm, Sample, Window},
    },
};

use crate::support::{Scripted, Seen, ms, scripted};

#[tokio::test(start_paused = true)]
async fn a_limit_that_grows_lets_those_in_who_wait() {
    let (bulkhead, _) = scripted(1, &[3], 5);
    let running = bulkhead.try_acquire().unwrap();
    let mut waiting: Vec<_> = (0..4).map(|_| task::spawn(bulkhead.acquire())).collect();
    for call in &mut waiting {
        assert_pending!(call.poll());
    }
    ms(150).await;
    running.finish(Outcome::Success);
    assert_eq!(bulkhead.snapshot().max_concurrent, 3);
    // In their order.
    let permits: Vec<_> = waiting
        .iter_mut()
        .take(3)
        .map(|call| assert_ready!(call.poll()).unwrap())
        .collect();
    assert_pending!(waiting[3].poll());
    drop(permits);
    let _last = assert_ready!(waiting[3].poll()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_shrinks_takes_nobodys_permit() {
    let (bulkhead, _) = scripted(4, &[2], 0);
    let mut running: Vec<_> = (0..4).map(|_| bulkhead.try_acquire().unwrap()).collect();
    ms(150).await;
    running.pop().unwrap().finish(Outcome::Success);
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.max_concurrent, snapshot.in_flight), (2, 3));
    running.pop();
    bulkhead.try_acquire().unwrap_err();
    running.pop();
    let _third = bulkhead.try_acquire().unwrap();
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_permit_is_not_part_of_a_calls_time() {
    let (bulkhead, seen) = scripted(1, &[1], 5);
    let running = bulkhead.try_acquire().unwrap();
    let mut waiting = task::spawn(bulkhead.acquire());
    assert_pending!(waiting.poll());
    ms(90).await;
    drop(running);
    let permit = assert_ready!(waiting.poll()).unwrap();
    ms(30).await;
    permit.finish(Outcome::Success);
    assert_eq!(seen.last(), Some((30, 1, false)));
}

#[tokio::test(start_paused = true)]
async fn a_call_may_end_after_the_last_handle_has_gone() {
    let (bulkhead, seen) = scripted(3, &[2], 0);
    let permit = bulkhead.try_acquire().unwrap();
    drop(bulkhead);
    ms(150).await;
    permit.finish(Outcome::Success);
    assert_eq!(seen.last(), Some((150, 1, false)));
}

struct Panics;

impl Algorithm for Panics {
    fn initial(&self) -> usize {
        3
    }

    fn bounds(&self) -> RangeInclusive<usize> {
        1..=9
    }

    fn update(&mut self, sample: &Sample) -> usize {
        assert!(!sample.dropped, "a bug");
        5
    }
}

#[tokio::test(start_paused = true)]
async fn an_algorithm_that_panics_keeps_no_permit_and_no_lock() {
    let bulkhead = Bulkhead::builder("stock")
        .adaptive(Panics)
        .limit_window(Window::new().minimum_calls(1))
        .build()
        .unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    ms(150).await;
    catch_unwind(AssertUnwindSafe(|| permit.finish(Outcome::Overload))).unwrap_err();
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.max_concurrent), (0, 3));

    let permit = bulkhead.try_acquire().unwrap();
    ms(150).await;
    permit.finish(Outcome::Success);
    assert_eq!(bulkhead.snapshot().max_concurrent, 5);
}

#[test]
fn a_clock_that_panics_keeps_no_permit() {
    let broken = Arc::new(AtomicBool::new(false));
    let clock = {
        let (broken, now) = (broken.clone(), Instant::now());
        move || {
            assert!(!broken.load(Ordering::Relaxed), "a bug");
            now
        }
    };
    let bulkhead = Bulkhead::builder("stock")
        .adaptive(Wild)
        .clock(clock)
        .build()
        .unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    broken.store(true, Ordering::Relaxed);
    catch_unwind(AssertUnwindSafe(|| bulkhead.try_acquire())).unwrap_err();
    catch_unwind(AssertUnwindSafe(|| permit.finish(Outcome::Success))).unwrap_err();
    assert_eq!(bulkhead.snapshot().in_flight, 0);
}

struct Wild;

impl Algorithm for Wild {
    fn initial(&self) -> usize {
        3
    }

    fn bounds(&self) -> RangeInclusive<usize> {
        2..=9
    }

    fn update(&mut self, sample: &Sample) -> usize {
        if sample.rtt > Duration::from_millis(50) {
            usize::MAX
        } else {
            0
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_algorithm_is_held_to_its_bounds() {
    let bulkhead = Bulkhead::builder("stock")
        .adaptive(Wild)
        .limit_window(Window::new().minimum_calls(1))
        .build()
        .unwrap();
    for (takes, limit) in [(100, 9), (10, 9), (100, 9)] {
        let permit = bulkhead.try_acquire().unwrap();
        ms(takes).await;
        permit.finish(Outcome::Success);
        assert_eq!(bulkhead.snapshot().max_concurrent, limit);
    }
    ms(300).await;
    bulkhead.try_acquire().unwrap().finish(Outcome::Success);
    ms(300).await;
    bulkhead.try_acquire().unwrap().finish(Outcome::Success);
    assert_eq!(bulkhead.snapshot().max_concurrent, 2);
}

#[tokio::test(start_paused = true)]
async fn partitions_move_with_the_limit_and_no_event_is_made_of_it() {
    let seen = Seen::default();
    let bulkhead = Bulkhead::builder("stock")
        .adaptive(Scripted::new(10, &[4], seen.clone()))
        .limit_window(Window::new().minimum_calls(1))
        .partition(Partition::new("live").guaranteed(0.5))
        .build()
        .unwrap();
    let live = bulkhead.partition("live").unwrap();
    let parts = || {
        let snapshot = bulkhead.snapshot();
        (snapshot.max_concurrent, snapshot.partitions[0].guaranteed)
    };
    assert_eq!(parts(), (10, 5));
    let permits = [live.try_acquire().unwrap(), bulkhead.try_acquire().unwrap()];
    ms(150).await;
    for permit in permits {
        permit.finish(Outcome::Success);
    }
    // What is guaranteed runs too.
    assert_eq!(seen.last(), Some((150, 2, false)));
    assert_eq!(parts(), (4, 2));
    assert_eq!(bulkhead.recent_events(), []);
}
