//! How calls end: every way is recorded, by every rule.

use std::{
    convert::Infallible,
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    Abandoned, CircuitBreaker, CircuitBreakerLayer, FailureRate, Permit, Ramp, State,
};

use super::{WAIT, builder, half_open, record};

const SECOND: Duration = Duration::from_secs(1);

type Answer = Pin<Box<dyn Future<Output = Result<(), &'static str>> + Send>>;

/// A service that never answers, unless told to misbehave otherwise.
#[derive(Clone, Copy, PartialEq)]
enum Bad {
    Hangs,
    PanicsInCall,
    PanicsInFuture,
    IsNeverReady,
    PanicsInReadiness,
}

impl Service<()> for Bad {
    type Response = ();
    type Error = &'static str;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        assert!(*self != Self::PanicsInReadiness, "boom");
        Poll::Ready(if *self == Self::IsNeverReady {
            Err("no connection")
        } else {
            Ok(())
        })
    }

    fn call(&mut self, (): ()) -> Answer {
        assert!(*self != Self::PanicsInCall, "boom");
        if *self == Self::PanicsInFuture {
            Box::pin(async { panic!("boom") })
        } else {
            Box::pin(pending())
        }
    }
}

/// Each kind of rule with a limit of three, one at a time.
fn every_rule() -> [CircuitBreaker; 3] {
    let build = |builder: tower_breaker::breaker::CircuitBreakerBuilder| builder.build().unwrap();
    [
        build(builder().consecutive_failures(3)),
        build(builder().failure_rate(FailureRate::over_calls(5).minimum_calls(3))),
        build(builder().failure_rate(FailureRate::over_time(600 * SECOND).minimum_calls(3))),
    ]
}

/// Calls until the circuit is open, which must take three calls.
fn opens_at_the_third(breaker: &CircuitBreaker, mut call: impl FnMut()) {
    for _ in 0..3 {
        assert_eq!(breaker.state(), State::Closed);
        call();
    }
    assert_eq!(breaker.state(), State::Open);
}

fn call_and_poll(breaker: &CircuitBreaker, bad: Bad) {
    let mut service = CircuitBreakerLayer::new(breaker.clone()).typed().layer(bad);
    let mut cx = Context::from_waker(Waker::noop());
    if service.poll_ready(&mut cx).is_ready() {
        let mut call = std::pin::pin!(service.call(()));
        let _ = call.as_mut().poll(&mut cx);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_is_recorded_by_every_rule() {
    for breaker in every_rule() {
        opens_at_the_third(&breaker, || call_and_poll(&breaker, Bad::Hangs));
        assert_eq!(breaker.snapshot().abandoned, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timed_out_future_is_recorded_by_every_rule() {
    for breaker in every_rule() {
        let service = CircuitBreakerLayer::new(breaker.clone())
            .typed()
            .layer(Bad::Hangs);
        for _ in 0..3 {
            assert_eq!(breaker.state(), State::Closed);
            let call = service.clone().oneshot(());
            assert!(tokio::time::timeout(SECOND, call).await.is_err());
        }
        assert_eq!(breaker.state(), State::Open, "the time-out was outside");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_recorded_by_every_rule() {
    for bad in [
        Bad::PanicsInCall,
        Bad::PanicsInFuture,
        Bad::PanicsInReadiness,
    ] {
        for breaker in every_rule() {
            opens_at_the_third(&breaker, || {
                let call = || call_and_poll(&breaker, bad);
                assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
            });
            assert_eq!(breaker.snapshot().failed, 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_recorded_by_every_rule() {
    for breaker in every_rule() {
        let mut service = CircuitBreakerLayer::new(breaker.clone())
            .typed()
            .layer(Bad::IsNeverReady);
        opens_at_the_third(&breaker, || {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Err(_))));
        });
        assert_eq!(breaker.snapshot().failed, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_recorded_while_a_ramp_refuses_most_calls_too() {
    let breaker = builder()
        .consecutive_failures(3)
        .ramp(Ramp::over(600 * SECOND).from(0.01))
        .build()
        .unwrap();
    half_open(&breaker).await.success();
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .typed()
        .layer(Bad::IsNeverReady);
    let before = breaker.snapshot().failed;
    opens_at_the_third(&breaker, || {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Err(_))));
    });
    assert_eq!(breaker.snapshot().failed - before, 3);
}

fn panics(permit: Permit) {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _permit = permit;
        panic!("boom");
    }));
    assert!(panicked.is_err());
}

#[tokio::test(start_paused = true)]
async fn every_ending_has_its_path_in_every_state() {
    // How it ends, and whether that is a success, a failure, or nothing.
    type Ending = (&'static str, Abandoned, fn(Permit), Option<bool>);
    let endings: [Ending; 6] = [
        ("success", Abandoned::Failure, Permit::success, Some(true)),
        ("failure", Abandoned::Ignore, Permit::failure, Some(false)),
        ("ignored", Abandoned::Failure, Permit::ignore, None),
        ("cancelled", Abandoned::Failure, drop, Some(false)),
        ("cancelled, ignored", Abandoned::Ignore, drop, None),
        ("panicked", Abandoned::Ignore, panics, Some(false)),
    ];
    for (name, abandoned, end, good) in endings {
        let build = || {
            builder()
                .consecutive_failures(2)
                .failure_rate(FailureRate::over_calls(10))
                .failure_rate(FailureRate::over_time(600 * SECOND))
                .on_abandoned(abandoned)
                .build()
                .unwrap()
        };
        let breaker = build();
        end(breaker.try_acquire().unwrap());
        let snapshot = breaker.snapshot();
        let (calls, hits) = (u32::from(good.is_some()), u32::from(good == Some(false)));
        for window in &snapshot.windows {
            assert_eq!((window.calls, window.hits), (calls, hits), "{name}");
        }
        assert_eq!(snapshot.consecutive_failures, hits, "{name}");

        let breaker = build();
        end(half_open(&breaker).await);
        let state = match good {
            Some(true) => State::Closed,
            Some(false) => State::Open,
            None => State::HalfOpen,
        };
        assert_eq!(breaker.state(), state, "{name}");
        assert_eq!(breaker.snapshot().trials_in_flight, 0, "{name}");

        for hold in [CircuitBreaker::force_closed, CircuitBreaker::disable] {
            let breaker = build();
            hold(&breaker);
            for _ in 0..5 {
                end(breaker.try_acquire().unwrap());
            }
            let snapshot = breaker.snapshot();
            assert_eq!(snapshot.state, State::Closed, "{name}");
            assert!(snapshot.windows.iter().all(|w| w.calls == 0), "{name}");
        }
    }
}

#[test]
fn a_call_that_hangs_holds_up_nobody() {
    let (go, told) = mpsc::channel::<()>();
    let (entered, inside) = mpsc::channel::<()>();
    let breaker = builder().consecutive_failures(1).build().unwrap();
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .typed()
        .layer(service_fn(move |()| {
            entered.send(()).unwrap();
            // Until the test is over.
            let _ = told.recv();
            ready(Ok::<(), Infallible>(()))
        }));
    thread::scope(|scope| {
        scope.spawn(move || drop(service.call(())));
        inside.recv().unwrap();
        // In the middle of the inner service's `call` now. All else goes on.
        for _ in 0..1_000 {
            record(&breaker, "F");
            assert_eq!(breaker.state(), State::Open);
            breaker.force_open_for(WAIT);
            assert!(breaker.half_open());
            breaker.try_acquire().unwrap().success();
            assert_eq!(breaker.state(), State::Closed);
        }
        assert_eq!(breaker.recent_transitions().len(), 64);
        go.send(()).unwrap();
    });
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.transitions, snapshot.stale), (4_000, 1));
}
