//! Half-open: who is admitted, who decides, and what is left of earlier episodes.

use std::time::Duration;

use tower_breaker::{
    Abandoned, CircuitBreaker, FailureRate, LeaseExpired, Permit, Reason, SlowCallRate, State,
    breaker::Cause,
};

use super::{WAIT, builder, consecutive, half_open, record};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);
const LEASE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn a_time_window_does_not_wedge_half_open() {
    let window = Duration::from_secs(1);
    let rate = FailureRate::over_time(window).minimum_calls(3);
    let breaker = builder()
        .failure_rate(rate)
        .success_threshold(3)
        .build()
        .unwrap();
    // Trials further apart than the window is long, and each longer than it.
    let mut trial = half_open(&breaker).await;
    for _ in 0..2 {
        tokio::time::advance(5 * window).await;
        trial.success();
        assert_eq!(breaker.state(), State::HalfOpen);
        tokio::time::advance(HOUR).await;
        trial = breaker.try_acquire().unwrap();
    }
    trial.success();
    assert_eq!(breaker.state(), State::Closed);

    let trial = half_open(&breaker).await;
    tokio::time::advance(5 * window).await;
    trial.failure();
    assert_eq!(breaker.state(), State::Open, "nor is a failure lost in it");
}

#[tokio::test(start_paused = true)]
async fn a_slow_trial_does_not_close_the_circuit() {
    let limit = Duration::from_secs(1);
    let breaker = builder()
        .consecutive_failures(1)
        .slow_call_rate(SlowCallRate::over_calls(10).slower_than(limit))
        .build()
        .unwrap();
    let trial = half_open(&breaker).await;
    tokio::time::advance(limit + MS).await;
    trial.success();
    assert_eq!(breaker.state(), State::Open);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.trials_failed, snapshot.slow), (1, 1));
    assert_eq!(snapshot.succeeded, 1, "an answer all the same");

    tokio::time::advance(WAIT).await;
    let trial = breaker.try_acquire().unwrap();
    tokio::time::advance(limit).await;
    trial.success();
    assert_eq!(breaker.state(), State::Closed, "not longer than the limit");
}

#[tokio::test(start_paused = true)]
async fn one_hung_trial_does_not_block_recovery_for_ever() {
    let breaker = builder()
        .consecutive_failures(1)
        .trial_lease(LEASE)
        .build()
        .unwrap();
    let hung = half_open(&breaker).await;
    tokio::time::advance(LEASE - MS).await;
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::HalfOpenFull);
    tokio::time::advance(MS).await;
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::CircuitOpen, "that trial failed");
    let last = breaker.recent_transitions().pop().unwrap();
    assert_eq!(
        (last.from, last.to, last.cause),
        (State::HalfOpen, State::Open, Cause::LeaseExpired)
    );
    tokio::time::advance(WAIT).await;
    let next = breaker.try_acquire().unwrap();
    hung.failure();
    assert_eq!(breaker.state(), State::HalfOpen, "too late to say so");
    next.success();
    assert_eq!(breaker.state(), State::Closed);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.leases_expired, snapshot.stale), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_an_expired_lease_means_can_be_chosen() {
    let breaker = builder()
        .consecutive_failures(1)
        .trial_lease(LEASE)
        .on_lease_expired(LeaseExpired::Ignore)
        .build()
        .unwrap();
    let hung = half_open(&breaker).await;
    tokio::time::advance(LEASE).await;
    let next = breaker.try_acquire().unwrap();
    let snapshot = breaker.snapshot();
    assert_eq!(
        (
            snapshot.state,
            snapshot.trials_in_flight,
            snapshot.leases_expired
        ),
        (State::HalfOpen, 1, 1),
        "the slot has a new owner"
    );
    hung.success();
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.trials_in_flight, snapshot.stale),
        (State::HalfOpen, 1, 1),
        "the one before can neither decide nor free it"
    );
    next.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_the_default() {
    let breaker = consecutive(1);
    let _hung = half_open(&breaker).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(breaker.try_acquire().is_err());
    tokio::time::advance(WAIT).await;
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn without_a_lease_a_trial_may_take_as_long_as_it_likes() {
    let breaker = builder()
        .consecutive_failures(1)
        .trial_lease(None)
        .build()
        .unwrap();
    let trial = half_open(&breaker).await;
    tokio::time::advance(100 * HOUR).await;
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::HalfOpenFull);
    trial.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn no_minimum_of_any_rule_applies_while_half_open() {
    let breaker = builder()
        .failure_rate(
            FailureRate::over_calls(100)
                .minimum_calls(50)
                .minimum_failures(40),
        )
        .failure_rate(
            FailureRate::over_time(HOUR)
                .minimum_calls(1_000)
                .minimum_failures(500),
        )
        .slow_call_rate(
            SlowCallRate::over_calls(100)
                .slower_than(MS)
                .minimum_calls(100)
                .minimum_slow_calls(100),
        )
        .build()
        .unwrap();
    half_open(&breaker).await.failure();
    assert_eq!(breaker.state(), State::Open);
    let trial = half_open(&breaker).await;
    tokio::time::advance(2 * MS).await;
    trial.success();
    assert_eq!(breaker.state(), State::Open, "slow");
    half_open(&breaker).await.success();
    assert_eq!(breaker.state(), State::Closed);
}

/// The ways to end a call.
const ENDINGS: [fn(Permit); 4] = [Permit::success, Permit::failure, Permit::ignore, drop];

#[tokio::test(start_paused = true)]
async fn a_result_of_an_earlier_episode_decides_nothing_in_any_state() {
    type To = fn(&CircuitBreaker) -> Option<Permit>;
    let states: [(State, To); 4] = [
        (State::Closed, |breaker| {
            breaker.reset();
            None
        }),
        (State::Open, |breaker| {
            breaker.force_open_for(WAIT);
            None
        }),
        (State::HalfOpen, |breaker| {
            breaker.force_open_for(WAIT);
            assert!(breaker.half_open());
            breaker.try_acquire().ok()
        }),
        (State::Closed, |breaker| {
            breaker.force_closed();
            None
        }),
    ];
    for end in ENDINGS {
        for (state, go) in states {
            for from_trial in [false, true] {
                let breaker = builder()
                    .consecutive_failures(1)
                    .failure_rate(FailureRate::over_calls(4).minimum_calls(1))
                    .failure_rate(FailureRate::over_time(HOUR).minimum_calls(1))
                    .build()
                    .unwrap();
                if from_trial {
                    breaker.force_open_for(WAIT);
                    assert!(breaker.half_open());
                }
                let late = breaker.try_acquire().unwrap();
                let trial = go(&breaker);
                let before = breaker.snapshot();
                assert_eq!(before.state, state);
                end(late);
                let after = breaker.snapshot();
                assert_eq!(
                    (after.state, after.generation, after.stale),
                    (state, before.generation, 1)
                );
                assert_eq!(after.windows, before.windows);
                assert_eq!(
                    (
                        after.trials_in_flight,
                        after.trial_successes,
                        after.trial_failures
                    ),
                    (u32::from(trial.is_some()), 0, 0)
                );
                assert_eq!(after.consecutive_failures, 0);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_end_of_a_call_makes_no_extra_slot() {
    for end in ENDINGS {
        let breaker = builder()
            .consecutive_failures(1)
            .on_abandoned(Abandoned::Ignore)
            .build()
            .unwrap();
        let late = breaker.try_acquire().unwrap();
        let _trial = half_open(&breaker).await;
        end(late);
        let refused = breaker.try_acquire().unwrap_err();
        assert_eq!(refused.reason(), Reason::HalfOpenFull);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_belongs_to_the_episode_that_set_it() {
    let breaker = consecutive(1);
    breaker.force_open_for(HOUR);
    assert_eq!(breaker.snapshot().open_remaining, Some(HOUR));
    breaker.reset();
    assert_eq!(breaker.snapshot().open_remaining, None);
    record(&breaker, "F");
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(refused.retry_after(), Some(WAIT));
    breaker.force_open_for(HOUR);
    tokio::time::advance(WAIT).await;
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(refused.retry_after(), Some(HOUR - WAIT));
    breaker.force_open();
    tokio::time::advance(HOUR).await;
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(
        (refused.reason(), refused.retry_after()),
        (Reason::ForcedOpen, None)
    );
}
