//! Where a breaker meets code that is not its own: clocks, listeners, checks and limiters that misbehave or stand elsewhere.

#![allow(clippy::unwrap_used)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind, panic_any},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    BoxError, CircuitBreaker, CircuitBreakerLayer, FailureRate, Recovery, State, classify::Verdict,
};

const WAIT: Duration = Duration::from_secs(10);

fn breaker(failures: u32) -> CircuitBreaker {
    CircuitBreaker::builder("stock")
        .consecutive_failures(failures)
        .open_for(WAIT)
        .build()
        .unwrap()
}

#[cfg(feature = "http")]
#[tokio::test]
async fn a_guard_further_in_that_answers_for_itself_is_ignored() {
    use tower::ServiceBuilder;
    use tower_breaker::{Bulkhead, BulkheadLayer, classify::HttpStatus};

    let breaker = breaker(2);
    let bulkhead = Bulkhead::builder("stock")
        .max_concurrent(1)
        .build()
        .unwrap();
    let _busy = bulkhead.try_acquire().unwrap();
    let mut service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker.clone()).classify(HttpStatus))
        .layer(BulkheadLayer::new(bulkhead).respond())
        .service(service_fn(async |(): ()| {
            Ok::<_, BoxError>(::http::Response::new(String::new()))
        }));
    for _ in 0..3 {
        let response = service.ready().await.unwrap().call(()).await.unwrap();
        assert_eq!(response.status(), 503);
    }
    assert_eq!(
        (breaker.state(), breaker.snapshot().ignored),
        (State::Closed, 3)
    );
}

#[tokio::test]
async fn towers_load_shed_further_in_is_ignored() {
    let breaker = breaker(2);
    let limited = tower::ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(1)
        .service(service_fn(async |(): ()| {
            std::future::pending::<()>().await;
            Ok::<_, BoxError>(())
        }));
    let mut other = limited.clone();
    let _running = other.ready().await.unwrap().call(());
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(limited);
    for _ in 0..3 {
        service.ready().await.unwrap().call(()).await.unwrap_err();
    }
    assert_eq!(
        (breaker.state(), breaker.snapshot().ignored),
        (State::Closed, 3)
    );
}

#[tokio::test]
async fn failed_readiness_in_a_circuit_that_refuses_by_now_is_no_refusal() {
    struct FailsAndForcesOpen(CircuitBreaker);
    impl Service<()> for FailsAndForcesOpen {
        type Response = ();
        type Error = BoxError;
        type Future = std::future::Ready<Result<(), BoxError>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            self.0.force_open();
            Poll::Ready(Err("down".into()))
        }
        fn call(&mut self, (): ()) -> Self::Future {
            unreachable!("never ready")
        }
    }
    let breaker = breaker(2);
    let mut service =
        CircuitBreakerLayer::new(breaker.clone()).layer(FailsAndForcesOpen(breaker.clone()));
    assert!(service.ready().await.is_err());
    assert_eq!(breaker.snapshot().refused, 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_tells_how_things_are_when_it_is_given() {
    let breaker = breaker(1);
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(async |(): ()| Ok::<_, BoxError>(())));
    breaker.try_acquire().unwrap().failure();
    service.ready().await.unwrap();
    tokio::time::advance(WAIT).await;
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
    let error = service.call(()).await.unwrap_err();
    let refused = tower_breaker::Refused::find(&*error).unwrap();
    assert_eq!(refused.retry_after(), Some(Duration::ZERO));
    service.ready().await.unwrap().call(()).await.unwrap();
}

#[test]
fn a_snapshot_never_shows_more_calls_ended_than_begun() {
    let breaker = breaker(2);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                breaker.try_acquire().unwrap().success();
            }
        });
        let bad = (0..100_000)
            .map(|_| breaker.snapshot())
            .filter(|s| s.admitted < s.succeeded + s.failed + s.ignored + s.abandoned)
            .count();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(bad, 0);
    });
}

#[test]
fn a_clock_that_panics_once_leaves_nothing_half_done() {
    let start = Instant::now();
    let clock = Arc::new(Mutex::new((start, false)));
    let heard = Arc::new(AtomicUsize::new(0));
    let breaker = {
        let (clock, heard) = (clock.clone(), heard.clone());
        CircuitBreaker::builder("stock")
            .consecutive_failures(1)
            .open_for(WAIT)
            .listener(move |_| {
                heard.fetch_add(1, Ordering::Relaxed);
            })
            .clock(move || {
                let mut clock = clock.lock().unwrap_or_else(PoisonError::into_inner);
                assert!(!std::mem::take(&mut clock.1), "the clock is broken");
                clock.0
            })
            .build()
            .unwrap()
    };
    let set = |ahead, breaks| {
        *clock.lock().unwrap_or_else(PoisonError::into_inner) = (start + ahead, breaks);
    };
    let permit = breaker.try_acquire().unwrap();
    set(Duration::ZERO, true);
    assert!(catch_unwind(AssertUnwindSafe(|| permit.failure())).is_err());
    assert_eq!(breaker.state(), State::Closed);
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
    set(WAIT, true);
    assert!(catch_unwind(AssertUnwindSafe(|| breaker.try_acquire())).is_err());
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(
        (
            heard.load(Ordering::Relaxed),
            breaker.snapshot().transitions
        ),
        (3, 3)
    );
}

#[test]
fn a_clock_centuries_ahead_is_borne() {
    let start = Instant::now();
    let far = Arc::new(AtomicBool::new(false));
    let clock = {
        let far = far.clone();
        move || {
            let years = if far.load(Ordering::Relaxed) { 600 } else { 0 };
            start + Duration::from_secs(years * 31_557_600)
        }
    };
    let breaker = CircuitBreaker::builder("stock")
        .consecutive_failures(1)
        .clock(clock)
        .build()
        .unwrap();
    far.store(true, Ordering::Relaxed);
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_listener_whose_panic_cannot_even_be_dropped_does_not_silence_the_next() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let heard = Arc::new(AtomicUsize::new(0));
    let breaker = {
        let heard = heard.clone();
        CircuitBreaker::builder("stock")
            .consecutive_failures(1)
            .listener(move |_| {
                if heard.fetch_add(1, Ordering::Relaxed) == 0 {
                    panic_any(Bomb);
                }
            })
            .build()
            .unwrap()
    };
    breaker.force_open();
    breaker.reset();
    breaker.force_open();
    assert_eq!(heard.load(Ordering::Relaxed), 3);
}

fn probed() -> CircuitBreaker {
    CircuitBreaker::builder("stock")
        .consecutive_failures(1)
        .open_for(WAIT)
        .recovery(Recovery::Probed)
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_has_failed_and_is_made_again() {
    let breaker = probed();
    breaker.try_acquire().unwrap().failure();
    let checks = AtomicUsize::new(0);
    let made = breaker
        .probe_until_closed(|| async {
            assert!(checks.fetch_add(1, Ordering::Relaxed) > 0, "the first one");
            Verdict::Success
        })
        .await;
    assert_eq!((made, breaker.state()), (2, State::Closed));
    assert_eq!(breaker.snapshot().trials_failed, 1);
}

#[tokio::test(start_paused = true)]
async fn an_undecided_check_does_not_sleep_through_a_change_by_hand() {
    let breaker = probed();
    breaker.try_acquire().unwrap().failure();
    let prober = {
        let breaker = breaker.clone();
        tokio::spawn(async move { breaker.probe_until_closed(async || Verdict::Ignore).await })
    };
    tokio::time::sleep(WAIT + Duration::from_secs(1)).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker.reset();
    let made = tokio::time::timeout(Duration::from_secs(1), prober).await;
    assert_eq!(made.unwrap().unwrap(), 1);
}

// Each thread's results are F F F S, over and over, so however two threads interleave, there are never seven failures in a row.
// A window whose recorders lap each other must not see any.
#[test]
fn a_rate_that_no_interleaving_reaches_never_trips() {
    let breaker = CircuitBreaker::builder("stock")
        .failure_rate(FailureRate::over_calls(7).threshold(1.0).minimum_calls(7))
        .build()
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for call in 0..400_000 {
                    match breaker.try_acquire() {
                        Ok(permit) if call % 4 == 3 => permit.success(),
                        Ok(permit) => permit.failure(),
                        Err(_) => return,
                    }
                }
            });
        }
    });
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_circuit_without_a_rule_about_time_reads_no_clock_while_closed() {
    let reads = Arc::new(AtomicUsize::new(0));
    let builder = || {
        let (reads, now) = (reads.clone(), Instant::now());
        CircuitBreaker::builder("stock").clock(move || {
            reads.fetch_add(1, Ordering::Relaxed);
            now
        })
    };
    let in_a_row = builder().consecutive_failures(100).build().unwrap();
    let over_calls = builder()
        .consecutive_failures(100)
        .failure_rate(FailureRate::over_calls(100).minimum_calls(100))
        .build()
        .unwrap();
    reads.store(0, Ordering::Relaxed);
    for breaker in [in_a_row, over_calls] {
        for call in 0..20 {
            let permit = breaker.try_acquire().unwrap();
            match call % 4 {
                0 | 1 => permit.success(),
                2 => permit.failure(),
                _ => permit.ignore(),
            }
            drop(breaker.try_acquire().unwrap());
        }
        assert_eq!(breaker.snapshot().succeeded, 10);
    }
    // A snapshot says how long the circuit has been closed.
    assert_eq!(reads.load(Ordering::Relaxed), 2);
}
