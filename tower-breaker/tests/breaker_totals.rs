//! What a circuit breaker says it has done: refusals by reason, panics, transitions by their states and causes, and what happened
//! between two of them.

#![allow(clippy::unwrap_used)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::advance;
use tower::{Service, ServiceExt, service_fn};
use tower_breaker::{
    BoxError, CircuitBreaker, CircuitBreakerLayer, Ramp, SlowCallRate, State, Transition,
    breaker::Cause,
};
use tower_layer::Layer;

const WAIT: Duration = Duration::from_secs(10);

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("test")
        .consecutive_failures(1)
        .open_for(WAIT)
        .ramp(Ramp::over(Duration::from_secs(100)))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn refusals_are_counted_by_reason() {
    let breaker = breaker();
    breaker.try_acquire().unwrap().failure();
    for _ in 0..2 {
        breaker.try_acquire().unwrap_err();
    }
    advance(WAIT).await;
    let trial = breaker.try_acquire().unwrap();
    for _ in 0..3 {
        breaker.try_acquire().unwrap_err();
    }
    trial.success();
    let refused_by_the_ramp = |_: &i32| match breaker.try_acquire() {
        Ok(permit) => {
            permit.success();
            false
        }
        Err(_) => true,
    };
    let ramping = (0..100).filter(refused_by_the_ramp).count() as u64;
    assert!(ramping > 0);
    breaker.force_open();
    for _ in 0..5 {
        breaker.try_acquire().unwrap_err();
    }

    let snapshot = breaker.snapshot();
    let by = snapshot.refused_by;
    assert_eq!(
        (
            by.circuit_open,
            by.half_open_full,
            by.ramping,
            by.forced_open
        ),
        (2, 3, ramping, 5)
    );
    assert_eq!(snapshot.refused, by.total());
}

/// Panics when it is polled for readiness, called, or polled for its answer.
#[derive(Clone, Copy)]
enum Bomb {
    Readiness,
    Call,
    Answer,
}

impl Service<()> for Bomb {
    type Response = ();
    type Error = BoxError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<(), BoxError>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Readiness => panic!("readiness"),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, (): ()) -> Self::Future {
        match self {
            Self::Answer => Box::pin(async { panic!("future") }),
            _ => panic!("call"),
        }
    }
}

#[tokio::test]
async fn panics_are_counted_wherever_they_happen_and_are_failures() {
    for bomb in [Bomb::Readiness, Bomb::Call, Bomb::Answer] {
        let breaker = breaker();
        let service = CircuitBreakerLayer::new(breaker.clone()).layer(bomb);
        let call = tokio_test::task::spawn(service.oneshot(()));
        let mut call = AssertUnwindSafe(call);
        assert!(catch_unwind(move || call.poll()).is_err());
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.failed, snapshot.panicked), (1, 1));
    }

    let breaker = breaker();
    let permit = AssertUnwindSafe(breaker.try_acquire().unwrap());
    let caught = catch_unwind(move || {
        let _permit = permit;
        panic!("around a permit");
    });
    assert!(caught.is_err());
    assert_eq!(breaker.snapshot().panicked, 1);
}

#[tokio::test]
async fn an_error_is_no_panic() {
    let breaker = breaker();
    let failing = service_fn(async |()| Err::<(), BoxError>("no".into()));
    let service = CircuitBreakerLayer::new(breaker.clone()).layer(failing);
    service.oneshot(()).await.unwrap_err();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.failed, snapshot.panicked), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn transitions_are_counted_by_their_states_and_by_cause() {
    let breaker = breaker();
    breaker.try_acquire().unwrap().failure();
    advance(WAIT).await;
    breaker.try_acquire().unwrap().failure();
    advance(WAIT).await;
    breaker.try_acquire().unwrap().success();
    breaker.reset();
    breaker.force_open();
    breaker.force_open_for(WAIT);
    breaker.reset();

    let snapshot = breaker.snapshot();
    let counts = snapshot.transition_counts;
    let states = [State::Closed, State::Open, State::HalfOpen];
    let between = states.map(|from| states.map(|to| counts.between(from, to)));
    // Each row is where from.
    assert_eq!(between, [[1, 2, 0], [1, 1, 2], [1, 1, 0]]);
    assert_eq!(
        between.as_flattened().iter().sum::<u64>(),
        snapshot.transitions
    );
    let causes = [
        (Cause::ConsecutiveFailures, 1),
        (Cause::WaitElapsed, 2),
        (Cause::TrialFailed, 1),
        (Cause::TrialsSucceeded, 1),
        (Cause::Reset, 2),
        (Cause::ForcedOpen, 2),
        (Cause::Disabled, 0),
    ];
    for (cause, count) in causes {
        assert_eq!(counts.caused_by(cause), count, "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transition_tells_what_happened_since_the_one_before() {
    let told: Arc<Mutex<Vec<Transition>>> = Arc::default();
    let breaker = {
        let told = told.clone();
        let slow = SlowCallRate::over_calls(10).slower_than(Duration::from_secs(1));
        CircuitBreaker::builder("test")
            .consecutive_failures(2)
            .slow_call_rate(slow.minimum_calls(10))
            .open_for(WAIT)
            .listener(move |transition| told.lock().unwrap().push(transition.clone()))
            .build()
            .unwrap()
    };
    let slow = breaker.try_acquire().unwrap();
    advance(Duration::from_secs(2)).await;
    slow.success();
    for _ in 0..2 {
        breaker.try_acquire().unwrap().failure();
    }
    for _ in 0..7 {
        breaker.try_acquire().unwrap_err();
    }
    advance(WAIT).await;
    let trial = breaker.try_acquire().unwrap();
    breaker.set_dry_run(true);
    drop(breaker.try_acquire().unwrap());
    trial.success();

    let told = told.lock().unwrap();
    let ended: Vec<_> = told
        .iter()
        .map(|Transition { to, ended, .. }| {
            let seconds = ended.lasted.as_secs();
            let calls = (ended.admitted, ended.failed, ended.slow);
            (*to, seconds, calls, (ended.refused, ended.would_refuse))
        })
        .collect();
    assert_eq!(
        ended,
        [
            (State::Open, 2, (3, 2, 1), (0, 0)),
            // The trial that ends it has been admitted by then.
            (State::HalfOpen, 10, (1, 0, 0), (7, 0)),
            (State::Closed, 0, (1, 0, 0), (0, 1)),
        ]
    );
}

#[test]
fn ids_tell_circuits_of_one_name_apart_and_grow() {
    let [first, second] = [breaker(), breaker()];
    assert_eq!(first.snapshot().id, first.clone().snapshot().id);
    assert!(first.snapshot().id < second.snapshot().id);
}
