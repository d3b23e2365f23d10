//! Clocks, functions and threads that do their worst.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tower_breaker::{CircuitBreaker, SlowCallRate, State};

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
