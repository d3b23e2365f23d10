//! Threads that acquire, wait, cancel and release at random: every permit is there at the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use tower::{Service, ServiceExt, service_fn};
use tower_breaker::{BoxError, Bulkhead, BulkheadLayer, bulkhead::Acquire};
use tower_layer::Layer;

const ACQUISITIONS: usize = 1_000_000;
const MAX_CONCURRENT: usize = 3;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

// A small generator of its own, so that a failing run can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

struct Totals {
    admitted: u64,
    refused: u64,
    abandoned: u64,
}

// Holds a few permits and a few places in the queue at any moment, and lets go of them in random order.
fn work(bulkhead: &Bulkhead, running: &AtomicUsize, seed: u64, resizes: bool) -> Totals {
    let mut random = Random(seed);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut permits = Vec::new();
    let mut waiters: Vec<std::pin::Pin<Box<Acquire>>> = Vec::new();
    let mut totals = Totals {
        admitted: 0,
        refused: 0,
        abandoned: 0,
    };

    let entered = |permits: &mut Vec<_>, permit| {
        assert!(
            running.fetch_add(1, Ordering::SeqCst) < MAX_CONCURRENT,
            "more calls than permits"
        );
        permits.push(permit);
    };
    for _ in 0..ACQUISITIONS {
        if resizes && random.below(16) == 0 {
            let limit = 1 + random.below(MAX_CONCURRENT as u64) as usize;
            bulkhead.resize(limit).unwrap();
        }
        let mut acquire = Box::pin(bulkhead.acquire());
        match acquire.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(permit)) => {
                totals.admitted += 1;
                entered(&mut permits, permit);
            }
            Poll::Ready(Err(_)) => totals.refused += 1,
            Poll::Pending => waiters.push(acquire),
        }
        if !waiters.is_empty() && random.below(4) == 0 {
            totals.abandoned += 1;
            drop(waiters.swap_remove(random.below(waiters.len() as u64) as usize));
        }
        waiters.retain_mut(|waiter| match waiter.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(permit)) => {
                totals.admitted += 1;
                entered(&mut permits, permit);
                false
            }
            Poll::Ready(Err(refused)) => panic!("refused after queueing: {refused}"),
            Poll::Pending => true,
        });
        while !permits.is_empty() && random.below(3) > 0 {
            running.fetch_sub(1, Ordering::SeqCst);
            drop(permits.swap_remove(random.below(permits.len() as u64) as usize));
        }
    }
    running.fetch_sub(permits.len(), Ordering::SeqCst);
    totals.abandoned += waiters.len() as u64;
    totals
}

#[test]
fn two_threads_and_random_cancels_lose_no_permit() {
    run_two_threads(false);
}

#[test]
fn two_threads_that_also_resize_lose_no_permit() {
    run_two_threads(true);
}

fn run_two_threads(resizes: bool) {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(MAX_CONCURRENT)
        .max_queue(4)
        .build()
        .unwrap();
    let running = AtomicUsize::new(0);
    let totals: Vec<Totals> = thread::scope(|scope| {
        let (bulkhead, running) = (&bulkhead, &running);
        let threads = [0x9E37_79B9, 0x7F4A_7C15]
            .map(|seed| scope.spawn(move || work(bulkhead, running, seed, resizes)));
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });

    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued), (0, 0));
    let sum = |count: fn(&Totals) -> u64| totals.iter().map(count).sum::<u64>();
    assert_eq!(snapshot.refused.queue_full, sum(|totals| totals.refused));
    assert_eq!(snapshot.waits.abandoned, sum(|totals| totals.abandoned));
    let all = sum(|totals| totals.admitted + totals.refused + totals.abandoned);
    assert_eq!(all, 2 * ACQUISITIONS as u64);

    // All of them can be had again, and not one more.
    bulkhead.resize(MAX_CONCURRENT).unwrap();
    let all: Vec<_> = (0..MAX_CONCURRENT)
        .map(|_| bulkhead.try_acquire().unwrap())
        .collect();
    assert!(bulkhead.try_acquire().is_err());
    drop(all);
}

// Gives the other tasks a turn, so many times.
async fn turns(number: u64) {
    for _ in 0..number {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_on_two_threads_that_lose_patience_lose_no_permit() {
    const TASKS: u64 = 6;
    const CALLS: u64 = 10_000;
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(2)
        .max_queue(3)
        .max_wait(Duration::from_micros(200))
        .build()
        .unwrap();
    let running = Arc::new(AtomicUsize::new(0));
    let inner = service_fn({
        let running = running.clone();
        move |turns_taken: u64| {
            let running = running.clone();
            async move {
                struct Running(Arc<AtomicUsize>);
                impl Drop for Running {
                    fn drop(&mut self) {
                        self.0.fetch_sub(1, Ordering::SeqCst);
                    }
                }
                assert!(
                    running.fetch_add(1, Ordering::SeqCst) < 2,
                    "more calls than permits"
                );
                let _running = Running(running);
                turns(turns_taken).await;
                Ok::<_, BoxError>(())
            }
        }
    });
    let service = BulkheadLayer::new(bulkhead.clone()).waiting().layer(inner);

    let tasks: Vec<_> = (1..=TASKS)
        .map(|seed| {
            let mut service = service.clone();
            tokio::spawn(async move {
                let mut random = Random(seed * 0x9E37_79B9);
                let (mut done, mut refused) = (0, 0);
                for _ in 0..CALLS {
                    let patience = random.below(12);
                    let call = service.ready().await.unwrap().call(random.below(3));
                    tokio::select! {
                        biased;
                        result = call => match result {
                            Ok(()) => done += 1,
                            Err(_) => refused += 1,
                        },
                        () = turns(patience) => {}
                    }
                }
                (done, refused)
            })
        })
        .collect();
    let (mut done, mut refused) = (0, 0);
    for task in tasks {
        let (task_done, task_refused) = task.await.unwrap();
        done += task_done;
        refused += task_refused;
    }

    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued), (0, 0));
    assert_eq!(running.load(Ordering::SeqCst), 0);
    // A call may be refused and its caller gone before it hears of it.
    assert!(snapshot.refused.total() >= refused && snapshot.admitted >= done);
    assert!(done > 0 && refused > 0 && snapshot.waits.granted > 0 && snapshot.waits.abandoned > 0);
}
