//! Cancelled at any point of its life a call is accounted for once, and never in the circuit's way. (What waits for a circuit in
//! the back-pressure mode is dropped in `breaker_back_pressure.rs`.)

#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    future::{pending, ready},
    mem,
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::time::{advance, timeout};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    Abandoned, CircuitBreaker, CircuitBreakerLayer, LeaseExpired, Reason, Recovery, Snapshot,
    State,
    breaker::{Cause, CircuitBreakerBuilder},
    classify::Verdict,
};
use tower_test::mock;

const WAIT: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_secs(3);
const MS: Duration = Duration::from_millis(1);

fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("stock")
        .consecutive_failures(1)
        .open_for(WAIT)
        .trial_lease(LEASE)
}

/// Opens the circuit and lets its wait pass.
async fn expect_a_trial(breaker: &CircuitBreaker) {
    breaker.try_acquire().unwrap().failure();
    advance(WAIT).await;
}

/// Whatever has happened: the circuit closes with the first good trial, after at most one wait.
async fn recovers(breaker: &CircuitBreaker, case: &str) {
    if breaker.state() != State::Closed {
        if let Ok(permit) = breaker.try_acquire() {
            permit.success();
        } else {
            advance(WAIT).await;
            let permit = breaker.try_acquire();
            permit
                .unwrap_or_else(|refused| panic!("{case}: {refused}"))
                .success();
        }
    }
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.state, State::Closed, "{case}");
    assert_eq!(snapshot.trials_in_flight, 0, "{case}");
    assert_eq!(in_flight(&snapshot), 0, "{case}");
}

fn in_flight(snapshot: &Snapshot) -> u64 {
    let ended = snapshot.succeeded + snapshot.failed + snapshot.ignored + snapshot.abandoned;
    snapshot.admitted - ended
}

/// Pending twice, then done.
async fn slow(result: Result<(), BoxError>) -> Result<(), BoxError> {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    result
}

#[tokio::test(start_paused = true)]
async fn a_trial_dropped_after_any_number_of_polls_and_any_time_of_its_lease() {
    let policies = [
        (None, Abandoned::Failure),
        (None, Abandoned::Ignore),
        (Some(LeaseExpired::Failure), Abandoned::Failure),
        (Some(LeaseExpired::Failure), Abandoned::Ignore),
        (Some(LeaseExpired::Ignore), Abandoned::Failure),
        (Some(LeaseExpired::Ignore), Abandoned::Ignore),
    ];
    for (expired, abandoned) in policies {
        for time in [Duration::ZERO, LEASE - MS, LEASE, 2 * LEASE] {
            for noticed in [false, true] {
                for polls in 0..=3 {
                    let case = format!("{expired:?} {abandoned:?} {time:?} {noticed} {polls}");
                    let mut builder = builder().on_abandoned(abandoned);
                    builder = match expired {
                        None => builder.trial_lease(None),
                        Some(expired) => builder.on_lease_expired(expired),
                    };
                    let breaker = builder.build().unwrap();
                    expect_a_trial(&breaker).await;
                    let mut service = CircuitBreakerLayer::new(breaker.clone())
                        .layer(service_fn(|()| slow(Ok(()))));
                    let mut call = task::spawn(service.ready().await.unwrap().call(()));
                    assert_eq!(breaker.state(), State::HalfOpen, "{case}");

                    advance(time).await;
                    // That a lease is over is noticed by whoever comes next, if anybody does.
                    let over = expired.is_some() && time >= LEASE;
                    let next = noticed.then(|| breaker.try_acquire());
                    let ignored = expired == Some(LeaseExpired::Ignore);
                    if let Some(next) = &next {
                        assert_eq!(next.is_ok(), over && ignored, "{case}");
                    }
                    let before = breaker.snapshot();
                    let revoked = over && noticed;
                    assert_eq!(before.leases_expired, u64::from(revoked), "{case}");

                    let mut done = false;
                    for _ in 0..polls {
                        done = call.poll().is_ready();
                    }
                    drop(call);

                    let after = breaker.snapshot();
                    let ended = (
                        after.succeeded - before.succeeded,
                        after.abandoned - before.abandoned,
                    );
                    let expected = if done { (1, 0) } else { (0, 1) };
                    assert_eq!(ended, expected, "{case}");
                    assert_eq!(after.failed, before.failed, "{case}");
                    assert_eq!(after.stale, u64::from(revoked), "{case}");
                    let state = if revoked {
                        before.state
                    } else if done {
                        State::Closed
                    } else if abandoned == Abandoned::Failure {
                        State::Open
                    } else {
                        State::HalfOpen
                    };
                    assert_eq!(after.state, state, "{case}");
                    assert_eq!(
                        after.trials_in_flight,
                        u32::from(revoked && ignored),
                        "{case}: that of the next, if there is one"
                    );
                    if let Some(Ok(next)) = next {
                        next.ignore();
                    }
                    recovers(&breaker, &case).await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_out_outside_that_is_as_long_as_the_lease_is_one_failure() {
    let breaker = builder().build().unwrap();
    expect_a_trial(&breaker).await;
    let service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|(): ()| pending::<Result<(), Infallible>>()));
    assert!(timeout(LEASE, service.clone().oneshot(())).await.is_err());
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.state, State::Open);
    assert_eq!(
        (
            snapshot.trials_failed,
            snapshot.leases_expired,
            snapshot.stale
        ),
        (1, 0, 0),
        "given up before anybody noticed that its lease was over"
    );
    recovers(&breaker, "").await;
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_nobody_ever_drops_gives_way() {
    let breaker = builder().build().unwrap();
    for _ in 0..3 {
        expect_a_trial(&breaker).await;
        mem::forget(breaker.try_acquire().unwrap());
        advance(LEASE).await;
        assert!(breaker.try_acquire().is_err());
        let last = breaker.recent_transitions().pop().unwrap();
        assert_eq!(last.cause, Cause::LeaseExpired);
        advance(WAIT).await;
        breaker.try_acquire().unwrap().success();
        assert_eq!(breaker.state(), State::Closed);
    }
    assert_eq!(breaker.snapshot().leases_expired, 3);
}

#[tokio::test(start_paused = true)]
async fn each_of_several_trials_has_a_lease_of_its_own() {
    let breaker = builder()
        .half_open_trials(2)
        .success_threshold(2)
        .on_lease_expired(LeaseExpired::Ignore)
        .build()
        .unwrap();
    expect_a_trial(&breaker).await;
    let first = breaker.try_acquire().unwrap();
    advance(LEASE / 2).await;
    let second = breaker.try_acquire().unwrap();
    assert!(breaker.try_acquire().is_err());
    advance(LEASE - LEASE / 2).await;
    let third = breaker.try_acquire().unwrap();
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::HalfOpenFull, "only one was over");
    drop(first);
    assert_eq!(
        (breaker.state(), breaker.snapshot().trials_in_flight),
        (State::HalfOpen, 2),
        "it had no say any more"
    );
    second.success();
    third.success();
    assert_eq!(breaker.state(), State::Closed);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.leases_expired, snapshot.stale), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_service_dropped_between_readiness_and_call_has_taken_nothing() {
    let breaker = builder().build().unwrap();
    expect_a_trial(&breaker).await;
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let (mut service, mut handle) = mock::spawn_with(move |inner| layer.layer(inner));
    let _: &mut mock::Handle<(), ()> = &mut handle;
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    drop(service);
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.state, in_flight(&snapshot)),
        (State::Open, 0),
        "not even a trial"
    );
    recovers(&breaker, "").await;
}

#[tokio::test(start_paused = true)]
async fn a_service_dropped_while_the_inner_one_is_not_ready_has_taken_nothing() {
    let breaker = builder().build().unwrap();
    expect_a_trial(&breaker).await;
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let (mut service, mut handle) = mock::spawn_with(move |inner| layer.layer(inner));
    let _: &mut mock::Handle<(), ()> = &mut handle;
    handle.allow(0);
    assert_pending!(service.poll_ready());
    assert_pending!(service.poll_ready());
    drop(service);
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.admitted, snapshot.abandoned),
        (1, 0),
        "only the call that opened the circuit"
    );
    recovers(&breaker, "").await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_dropped_at_any_point_is_refused_and_nothing_else() {
    for polls in 0..=1 {
        let breaker = builder().build().unwrap();
        breaker.try_acquire().unwrap().failure();
        let mut service = CircuitBreakerLayer::new(breaker.clone())
            .layer(service_fn(|(): ()| pending::<Result<(), Infallible>>()));
        let mut call = task::spawn(service.ready().await.unwrap().call(()));
        for _ in 0..polls {
            assert!(call.poll().is_ready());
        }
        drop(call);
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.refused, in_flight(&snapshot)), (1, 0));
    }
}

// --- when the handles go first ---------------------------------------------------------------------------------------

/// A circuit, and something that lives exactly as long as it.
fn with_a_companion() -> (CircuitBreaker, Arc<()>) {
    let companion = Arc::new(());
    let breaker = builder()
        .listener({
            let companion = companion.clone();
            move |_| drop(companion.clone())
        })
        .build()
        .unwrap();
    (breaker, companion)
}

/// Memory whose last call and last handle go at the same moment may wait for the next circuit's end.
fn another_circuit_ends() {
    drop(builder().build().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_call_outlives_every_handle_of_its_circuit() {
    for polls in 0..=3 {
        let (breaker, companion) = with_a_companion();
        let mut service = CircuitBreakerLayer::new(breaker.clone())
            .layer(service_fn(|()| slow(Err("down".into()))));
        let mut call = task::spawn(service.ready().await.unwrap().call(()));
        drop((breaker, service));
        assert_eq!(Arc::strong_count(&companion), 2, "the call needs it still");
        let mut done = false;
        for _ in 0..polls {
            done = call.poll().is_ready();
        }
        assert_eq!(done, polls == 3);
        drop(call);
        another_circuit_ends();
        assert_eq!(Arc::strong_count(&companion), 1, "and then nobody: {polls}");
    }
}

#[test]
fn a_trial_outlives_every_handle_of_its_circuit_on_another_thread() {
    for end in [0, 1, 2] {
        let (breaker, companion) = with_a_companion();
        breaker.force_open();
        assert!(breaker.half_open());
        let trial = breaker.try_acquire().unwrap();
        drop(breaker);
        thread::spawn(move || match end {
            0 => trial.success(),
            1 => trial.failure(),
            _ => drop(trial),
        })
        .join()
        .unwrap();
        another_circuit_ends();
        assert_eq!(Arc::strong_count(&companion), 1);
    }
}

#[test]
fn calls_and_handles_that_end_at_the_same_moment_free_the_circuit_once() {
    for _ in 0..1_000 {
        let (breaker, companion) = with_a_companion();
        let permits: Vec<_> = (0..2).map(|_| breaker.try_acquire().unwrap()).collect();
        thread::scope(|scope| {
            for permit in permits {
                scope.spawn(|| permit.failure());
            }
            drop(breaker);
        });
        another_circuit_ends();
        assert_eq!(Arc::strong_count(&companion), 1);
    }
}

// --- what runs in the background -------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn an_event_awaited_in_vain_is_not_lost() {
    let breaker = builder().build().unwrap();
    let mut events = breaker.events();
    for _ in 0..3 {
        let mut next = task::spawn(events.recv());
        assert_pending!(next.poll());
        drop(next);
        breaker.force_open();
        {
            let mut next = task::spawn(events.recv());
            let transition = match next.poll() {
                std::task::Poll::Ready(Some(transition)) => transition,
                other => panic!("{other:?}"),
            };
            assert_eq!(transition.to, State::Open);
        }
        // Woken, and dropped all the same.
        let mut next = task::spawn(events.recv());
        assert_pending!(next.poll());
        breaker.reset();
        assert!(next.is_woken());
        drop(next);
        let transition = timeout(MS, events.recv()).await.unwrap().unwrap();
        assert_eq!(transition.to, State::Closed);
    }
    drop(breaker);
    another_circuit_ends();
    assert!(events.recv().await.is_none(), "that was all");
}

#[tokio::test(start_paused = true)]
async fn events_are_a_stream_that_ends_with_the_circuit() {
    let breaker = builder().build().unwrap();
    let mut events = task::spawn(breaker.events());
    assert_pending!(events.poll_next());
    breaker.force_open();
    assert!(events.is_woken());
    let next = tokio_test::assert_ready!(events.poll_next());
    assert_eq!(next.map(|transition| transition.to), Some(State::Open));
    assert_pending!(events.poll_next());
    drop(breaker);
    another_circuit_ends();
    let next = tokio_test::assert_ready!(events.poll_next());
    assert!(next.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_any_more_is_forgotten() {
    let breaker = builder().build().unwrap();
    let (first, mut second) = (breaker.events(), breaker.events());
    breaker.force_open();
    drop(first);
    breaker.reset();
    let both = (
        second.recv().await.unwrap().to,
        second.recv().await.unwrap().to,
    );
    assert_eq!(both, (State::Open, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_timer_dropped_at_any_time_leaves_a_circuit_that_works_without_it() {
    for at in [Duration::ZERO, WAIT / 2, WAIT - MS, WAIT, 2 * WAIT] {
        let breaker = builder().recovery(Recovery::Timed).build().unwrap();
        breaker.try_acquire().unwrap().failure();
        let timer = {
            let breaker = breaker.clone();
            tokio::spawn(async move { breaker.half_open_on_time().await })
        };
        tokio::time::sleep(at).await;
        tokio::task::yield_now().await;
        timer.abort();
        assert!(timer.await.unwrap_err().is_cancelled());
        let expected = if at >= WAIT {
            State::HalfOpen
        } else {
            State::Open
        };
        assert_eq!(breaker.state(), expected, "{at:?}");
        advance(WAIT.saturating_sub(at)).await;
        breaker.try_acquire().unwrap().success();
        assert_eq!(breaker.state(), State::Closed, "{at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_prober_dropped_at_any_time_leaves_a_circuit_that_another_can_probe() {
    let second = Duration::from_secs(1);
    for at in [WAIT - MS, WAIT, WAIT + second / 2, WAIT + second, 3 * WAIT] {
        let breaker = builder().recovery(Recovery::Probed).build().unwrap();
        breaker.try_acquire().unwrap().failure();
        let probe = breaker.probe_until_closed(|| async {
            tokio::time::sleep(second).await;
            Verdict::Failure
        });
        assert!(timeout(at, probe).await.is_err());
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.trials_in_flight, in_flight(&snapshot)), (0, 0));
        assert_eq!(snapshot.state, State::Open, "{at:?}");
        let checks = breaker.probe_until_closed(|| ready(Verdict::Success)).await;
        assert_eq!((checks, breaker.state()), (1, State::Closed), "{at:?}");
    }
}
