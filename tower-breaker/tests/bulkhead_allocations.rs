//! Neither an admitted, a refused nor a waiting call allocates.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Service, service_fn};
use tower_breaker::{
    Bulkhead, BulkheadLayer,
    bulkhead::{
        Outcome, Partition,
        limit::{Aimd, Algorithm, Gradient2, Vegas, Window},
    },
};
use tower_layer::Layer;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: hands everything on to the system's allocator; counting neither allocates nor fails.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are the ones that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[tokio::test]
async fn no_call_allocates_not_even_one_that_waits_with_a_time_limit() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(2)
        .max_queue(1)
        .max_wait(Duration::from_secs(60))
        .build()
        .unwrap();
    let inner = service_fn(async |request: u32| Ok::<_, std::convert::Infallible>(request));
    let mut service = BulkheadLayer::new(bulkhead.clone())
        .waiting()
        .typed()
        .layer(inner);
    // What a task and a thread need once: a slot in the timer, a number for the thread's counters.
    let mut caller = task::spawn(());
    let mut scenario = || {
        caller.enter(|cx, _| {
            assert_ready_ok!(service.poll_ready(cx));
            let admitted = std::pin::pin!(service.call(1));
            assert_ready_ok!(admitted.poll(cx));

            let permits = [bulkhead.try_acquire(), bulkhead.try_acquire()];
            assert_ready_ok!(service.poll_ready(cx));
            // One that goes away, and one that waits for both permits to come back.
            {
                let given_up = std::pin::pin!(bulkhead.acquire());
                assert_pending!(given_up.poll(cx));
            }
            let mut waiting = std::pin::pin!(service.call(2));
            assert_pending!(waiting.as_mut().poll(cx));

            let refused = std::pin::pin!(service.call(3));
            drop(assert_ready_err!(refused.poll(cx)));

            drop(permits);
            // The first has its permit and has not picked it up; another takes its place in the queue meanwhile.
            let others = [bulkhead.try_acquire(), bulkhead.try_acquire()];
            let next = bulkhead.acquire();
            drop((others, next));
            assert_ready_ok!(waiting.as_mut().poll(cx));
        });
    };
    scenario();
    let before = ALLOCATIONS.get();
    scenario();
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!(bulkhead.snapshot().in_flight, 0);
}

#[test]
fn as_many_as_may_wait_find_a_seat_beside_permits_not_picked_up_yet() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(8)
        .max_queue(8)
        .build()
        .unwrap();
    let permits: Vec<_> = (0..8).map(|_| bulkhead.try_acquire().unwrap()).collect();
    let mut waiters = Vec::with_capacity(16);
    let before = ALLOCATIONS.get();
    for _ in 0..8 {
        waiters.push(bulkhead.acquire());
    }
    // All eight are granted, none has picked its permit up, and eight more sit down.
    drop(permits);
    for _ in 0..8 {
        waiters.push(bulkhead.acquire());
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued), (8, 8));
}

#[test]
fn an_adaptive_limit_moves_without_allocating() {
    let algorithms: [Box<dyn Algorithm>; 3] = [
        Box::new(Aimd::builder().build().unwrap()),
        Box::new(Gradient2::builder().build().unwrap()),
        Box::new(Vegas::builder().build().unwrap()),
    ];
    for algorithm in algorithms {
        let time = Arc::new(AtomicU64::new(0));
        let (origin, turned) = (Instant::now(), time.clone());
        let bulkhead = Bulkhead::builder("test")
            .adaptive(algorithm)
            .limit_window(Window::new().minimum_calls(1))
            .clock(move || origin + Duration::from_millis(turned.load(Ordering::Relaxed)))
            .max_queue(100)
            .build()
            .unwrap();
        let mut permits = Vec::with_capacity(400);
        let mut waiters = Vec::with_capacity(400);
        let mut limits = Vec::with_capacity(400);
        permits.push(bulkhead.try_acquire().unwrap());
        let before = ALLOCATIONS.get();
        for window in 0..300_u64 {
            while let Ok(permit) = bulkhead.try_acquire() {
                permits.push(permit);
            }
            while waiters.len() < 100 {
                waiters.push(bulkhead.acquire());
            }
            time.fetch_add(150, Ordering::Relaxed);
            let dropped = (100..200).contains(&window) && window % 4 == 0;
            let outcome = match dropped {
                true => Outcome::Overload,
                false => Outcome::Success,
            };
            for permit in permits.drain(..) {
                permit.finish(outcome);
            }
            waiters.clear();
            limits.push(bulkhead.snapshot().max_concurrent);
        }
        assert_eq!(ALLOCATIONS.get() - before, 0);
        let (least, most) = (limits.iter().min(), limits.iter().max());
        assert!(least < Some(&20) && most > Some(&25), "{limits:?}");
    }
}

#[test]
fn to_be_told_that_somebody_has_precedence_takes_a_seat_that_is_there() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(8)
        .partition(Partition::new("live").guaranteed(0.5))
        .build()
        .unwrap();
    let live = bulkhead.partition("live").unwrap();
    let running = [(); 4].map(|()| bulkhead.try_acquire().unwrap());
    // As many run as may, so what is guaranteed is held back; that is decided in the line, though nobody may wait in it.
    bulkhead.resize(4).unwrap();
    let before = ALLOCATIONS.get();
    assert!(live.try_acquire().is_err());
    assert_eq!(ALLOCATIONS.get() - before, 0);
    drop(running);
    assert!(live.try_acquire().is_ok());
}
