//! Clocks, functions and threads that do their worst.

#![allow(clippy::unwrap_used)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tower_breaker::{CircuitBreaker, OpenWait, Permit, SlowCallRate, State};

/// A clock that is set by hand, and panics when it is asked for the time so many times.
#[derive(Clone)]
struct Fuse {
    now: Arc<Mutex<Instant>>,
    left: Arc<AtomicU32>,
}

impl Fuse {
    const NONE: u32 = u32::MAX;

    fn new() -> Self {
        Self {
            now: Arc::new(Mutex::new(Instant::now())),
            left: Arc::new(AtomicU32::new(Self::NONE)),
        }
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let Self { now, left } = self.clone();
        move || {
            if left.load(Ordering::Relaxed) != Self::NONE
                && left.fetch_sub(1, Ordering::Relaxed) == 0
            {
                panic!("the clock has stopped");
            }
            *now.lock().unwrap()
        }
    }

    fn advance(&self, by: Duration) {
        *self.now.lock().unwrap() += by;
    }
}

#[test]
fn a_clock_that_panics_when_a_trial_is_admitted_keeps_neither_its_slot_nor_the_event() {
    for asked in 0..4 {
        let fuse = Fuse::new();
        let told = Arc::new(Mutex::new(Vec::new()));
        let listener = told.clone();
        let breaker = CircuitBreaker::builder("hostile")
            .consecutive_failures(1)
            .slow_call_rate(SlowCallRate::over_calls(10).slower_than(Duration::from_secs(1)))
            .open_for(Duration::from_secs(1))
            .clock(fuse.clock())
            .listener(move |transition| listener.lock().unwrap().push(transition.to))
            .build()
            .unwrap();
        breaker.try_acquire().unwrap().failure();
        fuse.advance(Duration::from_secs(1));
        fuse.left.store(asked, Ordering::Relaxed);
        let tried = catch_unwind(AssertUnwindSafe(|| {
            breaker.try_acquire().map(|permit| permit.success())
        }));
        fuse.left.store(Fuse::NONE, Ordering::Relaxed);
        if tried.is_err() {
            // Whatever became of that call, the next one may try.
            fuse.advance(Duration::from_secs(1));
            match breaker.try_acquire() {
                Ok(permit) => permit.success(),
                Err(refused) => panic!("asked {asked} times: {refused}"),
            }
        }
        assert_eq!(breaker.state(), State::Closed, "asked {asked} times");
        assert_eq!(
            *told.lock().unwrap(),
            [State::Open, State::HalfOpen, State::Closed]
        );
        let snapshot = breaker.snapshot();
        assert_eq!(
            snapshot.admitted,
            snapshot.succeeded + snapshot.failed + snapshot.ignored + snapshot.abandoned
        );
    }
}

// While the function thinks, another call changes the count of failures in a row: the swap that would open the circuit fails.
#[test]
fn a_slow_function_for_the_open_wait_is_asked_once_and_does_not_keep_the_circuit_from_opening() {
    let fuse = Fuse::new();
    let asked = Arc::new(AtomicU32::new(0));
    let others = Arc::new(Mutex::new(Vec::<Permit>::new()));
    let breaker = {
        let (asked, others) = (asked.clone(), others.clone());
        CircuitBreaker::builder("hostile")
            .slow_call_rate(
                SlowCallRate::over_calls(1)
                    .slower_than(Duration::from_secs(1))
                    .threshold(1.0)
                    .minimum_calls(1),
            )
            .open_for(OpenWait::from_fn(move |_| {
                let other = others.lock().unwrap().pop();
                if let Some(other) = other {
                    match asked.fetch_add(1, Ordering::Relaxed) % 2 {
                        0 => other.failure(),
                        _ => other.success(),
                    }
                }
                Duration::from_secs(60)
            }))
            .clock(fuse.clock())
            .build()
            .unwrap()
    };
    let slow = breaker.try_acquire().unwrap();
    fuse.advance(Duration::from_secs(2));
    for _ in 0..50 {
        others.lock().unwrap().push(breaker.try_acquire().unwrap());
    }
    slow.success();
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    others.lock().unwrap().clear();
}

// Circuits that come and go, as in a map of one for each peer: each goes while a response is still being read.
#[test]
fn many_circuits_that_go_before_their_calls_cost_no_more_each_than_few() {
    let time = |circuits: u32| {
        let mut permits = Vec::new();
        let start = Instant::now();
        let breakers: Vec<_> = (0..circuits)
            .map(|_| {
                let breaker = CircuitBreaker::builder("peer")
                    .consecutive_failures(1)
                    .build()
                    .unwrap();
                permits.push(breaker.try_acquire().unwrap());
                breaker
            })
            .collect();
        let built = start.elapsed();
        drop(breakers);
        permits.into_iter().for_each(Permit::success);
        (start.elapsed() - built) / circuits
    };
    let few = time(500);
    let many = time(10_000);
    println!("{few:?} {many:?}");
    assert!(
        many < 5 * few,
        "{few:?} each of a few, {many:?} each of many"
    );
}
