//! One test for each defect that has been proven in another circuit breaker, and for the lesson of each of their famous bugs, so
//! that ours is shown free of it.
//!
//! | defect | where | test |
//! |---|---|---|
//! | the count window never slides | tower-resilience | [`the_count_window_slides`] |
//! | the size of the window overrides the minimum of calls | tower-resilience | [`the_minimum_of_calls_is_not_overridden_by_the_size_of_the_window`] |
//! | a time window wedges half-open for ever | tower-resilience | [`trials::a_time_window_does_not_wedge_half_open`] |
//! | an earlier episode's results close or re-open the circuit | tower-resilience, Polly, Hystrix, opossum | [`an_earlier_episodes_success_does_not_close_a_half_open_circuit`], [`an_earlier_episodes_failures_do_not_open_a_circuit_that_has_recovered`], [`trials::a_result_of_an_earlier_episode_decides_nothing_in_any_state`] |
//! | a probe of an earlier half-open closes a later one | seatbelt | [`a_trial_of_an_earlier_half_open_episode_does_not_decide_a_later_one`] |
//! | a stale cancel or ignored result makes an extra slot | resilience4j | [`trials::a_stale_end_of_a_call_makes_no_extra_slot`] |
//! | the builder takes zero probes | tower-resilience | [`zero_trials_do_not_build_and_every_problem_is_named`] |
//! | reset does nothing when closed | tower-resilience | [`reset_works_on_a_closed_circuit_too`] |
//! | readiness stays refused after a manual close | tower-resilience | [`readiness_follows_a_manual_close_and_a_manual_open`] |
//! | readiness ignores the circuit | seatbelt | `breaker_service`: `an_open_circuit_is_ready_and_refuses_without_asking_the_inner_service`; `breaker_back_pressure` |
//! | the inner service must be `Sync`, `Clone`, ... | seatbelt and others | `breaker_service`: `the_inner_service_needs_no_bounds` |
//! | a slow probe closes the circuit | tower-resilience | [`trials::a_slow_trial_does_not_close_the_circuit`] |
//! | a listener that reads metrics, or resets, deadlocks | tower-resilience, failsafe | [`a_listener_may_use_the_handle_and_even_change_the_state`] |
//! | `poll_ready` errors are not recorded | tower-resilience | [`calls::an_error_of_readiness_is_recorded_by_every_rule`] |
//! | nor while calls are refused for another reason | | [`calls::an_error_of_readiness_is_recorded_while_a_ramp_refuses_most_calls_too`] |
//! | dropped futures are not recorded | tower-resilience | [`calls::a_dropped_future_is_recorded_by_every_rule`] |
//! | timed-out futures are not recorded | tower-resilience | [`calls::a_timed_out_future_is_recorded_by_every_rule`] |
//! | panics are not recorded | tower-resilience | [`calls::a_panic_is_recorded_by_every_rule`] |
//! | one hung probe blocks recovery for ever | tower-resilience, and everywhere | [`trials::one_hung_trial_does_not_block_recovery_for_ever`], [`trials::what_an_expired_lease_means_can_be_chosen`], [`trials::a_lease_is_the_default`] |
//! | each `.layer()` of one built layer has a circuit of its own | tower-resilience | `breaker_service`: `every_layer_of_one_built_layer_shares_the_circuit` |
//! | half-open admits 1000 of 1000 | failsafe, recloser | [`half_open_admits_no_more_than_its_cap_of_a_thousand_calls`] |
//! | windows and waits below a second are none | failsafe | [`windows::a_time_window_below_a_second_counts_and_slides`], [`the_trial_comes_at_exactly_the_wait_even_below_a_second`] |
//! | something is held across user code | recloser | [`calls::a_call_that_hangs_holds_up_nobody`] |
//! | a probe cancelled before its answer wedges the circuit | linkerd2-proxy | [`a_probe_cancelled_before_it_answers_does_not_wedge_the_circuit`] |
//!
//! | lesson | test |
//! |---|---|
//! | lease each probe, with a deadline whose outcome can be chosen | [`trials::what_an_expired_lease_means_can_be_chosen`] |
//! | minimum-volume rules stop in half-open | [`the_rules_minimum_does_not_apply_while_half_open`], [`trials::no_minimum_of_any_rule_applies_while_half_open`] |
//! | only the probe's owner may decide it | [`an_earlier_episodes_success_does_not_close_a_half_open_circuit`] |
//! | cancelled, ignored and panicked calls have a defined path, everywhere | [`calls::every_ending_has_its_path_in_every_state`] |
//! | one atomic state, never status and timestamp apart | [`trials::a_wait_belongs_to_the_episode_that_set_it`], the models in `src/` |
//! | one event per transition, listeners outside any lock | [`a_listener_may_use_the_handle_and_even_change_the_state`], `breaker_threads` |
//! | windows slide; totals never go negative under load | [`windows::totals_never_go_negative_under_load`] |
//! | time is monotonic, and injected | [`windows::a_clock_that_goes_back_breaks_nothing`] |
//! | tiny traffic needs a minimum of failures | [`windows::tiny_traffic_needs_a_minimum_of_failures`] |
//! | an undefined rate is shown as undefined | [`windows::an_undefined_rate_is_shown_as_undefined`] |

#![allow(clippy::unwrap_used)]

#[path = "breaker_defects/calls.rs"]
mod calls;
#[path = "breaker_defects/trials.rs"]
mod trials;
#[path = "breaker_defects/windows.rs"]
mod windows;

use std::{
    convert::Infallible,
    future::{pending, ready},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tower::{Layer, Service, ServiceExt, service_fn};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerLayer, FailureRate, Permit, State, breaker::CircuitBreakerBuilder,
};

const WAIT: Duration = Duration::from_secs(10);

#[test]
fn the_table_names_tests_that_exist() {
    let own = include_str!("breaker_defects.rs");
    let sources = [
        own,
        include_str!("breaker_defects/calls.rs"),
        include_str!("breaker_defects/trials.rs"),
        include_str!("breaker_defects/windows.rs"),
        include_str!("breaker_service.rs"),
    ]
    .concat();
    let table = own.lines().filter(|line| line.starts_with("//! |"));
    let names = table
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(|name| name.rsplit("::").next().unwrap())
        // The names of tests are sentences.
        .filter(|name| name.matches('_').count() >= 3);
    let mut count = 0;
    for name in names {
        count += 1;
        assert!(sources.contains(&format!("fn {name}()")), "{name}");
    }
    assert!(count >= 40, "{count}");
}

fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("stock").open_for(WAIT)
}

fn consecutive(failures: u32) -> CircuitBreaker {
    builder().consecutive_failures(failures).build().unwrap()
}

fn permits(breaker: &CircuitBreaker, count: usize) -> Vec<Permit> {
    (0..count).map(|_| breaker.try_acquire().unwrap()).collect()
}

fn record(breaker: &CircuitBreaker, results: &str) {
    for result in results.chars() {
        let permit = breaker.try_acquire().unwrap();
        match result {
            'F' => permit.failure(),
            _ => permit.success(),
        }
    }
}

async fn half_open(breaker: &CircuitBreaker) -> Permit {
    while let Ok(permit) = breaker.try_acquire() {
        permit.failure();
    }
    tokio::time::advance(WAIT).await;
    breaker.try_acquire().unwrap()
}

#[test]
fn the_count_window_slides() {
    let rate = FailureRate::over_calls(4).threshold(0.75).minimum_calls(4);
    let breaker = builder().failure_rate(rate).build().unwrap();
    record(&breaker, "F...");
    record(&breaker, ".");
    assert_eq!(
        breaker.snapshot().windows[0].hits,
        0,
        "the first failure has slid out"
    );
    record(&breaker, "FF");
    assert_eq!(breaker.snapshot().windows[0].rate, Some(0.5));
    record(&breaker, "F");
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn the_minimum_of_calls_is_not_overridden_by_the_size_of_the_window() {
    let rate = FailureRate::over_calls(100).threshold(0.5).minimum_calls(4);
    let breaker = builder().failure_rate(rate).build().unwrap();
    record(&breaker, "FFF");
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(
        breaker.snapshot().windows[0].rate,
        None,
        "undefined, not zero"
    );
    record(&breaker, "F");
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_success_that_completes_the_minimum_may_trip() {
    let rate = FailureRate::over_calls(10).threshold(0.5).minimum_calls(4);
    let breaker = builder().failure_rate(rate).build().unwrap();
    record(&breaker, "FF..");
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn zero_trials_do_not_build_and_every_problem_is_named() {
    let rate = FailureRate::over_calls(0).threshold(1.5).minimum_calls(7);
    let err = CircuitBreaker::builder("")
        .consecutive_failures(0)
        .failure_rate(rate)
        .open_for(Duration::ZERO)
        .half_open_trials(0)
        .success_threshold(70_000)
        .build()
        .unwrap_err();
    let problems: Vec<_> = err
        .problems()
        .iter()
        .map(|problem| (problem.option(), problem.value()))
        .collect();
    assert_eq!(
        problems,
        [
            ("name", "\"\""),
            ("consecutive_failures", "0"),
            ("failure_rate.over_calls", "0"),
            ("failure_rate.threshold", "1.5"),
            ("failure_rate.minimum_calls", "7"),
            ("open_for", "0ns"),
            ("half_open_trials", "0"),
            ("success_threshold", "70000"),
        ]
    );
    let text = err.to_string();
    assert!(
        text.contains("`half_open_trials` is 0; allowed: 1 to 255"),
        "{text}"
    );
}

#[test]
fn a_threshold_that_is_not_a_number_does_not_build() {
    for threshold in [f64::NAN, 0.0, -0.1, 1.000_1, f64::INFINITY] {
        let rate = FailureRate::over_calls(10).threshold(threshold);
        assert!(builder().failure_rate(rate).build().is_err(), "{threshold}");
    }
}

#[test]
fn a_breaker_without_a_rule_does_not_build() {
    let err = builder().build().unwrap_err();
    assert_eq!(
        err.to_string(),
        "circuit breaker `stock` cannot be built: `rules` is none; allowed: at least one of \
         `consecutive_failures`, `failure_rate` and `slow_call_rate`",
    );
}

#[tokio::test(start_paused = true)]
async fn an_earlier_episodes_success_does_not_close_a_half_open_circuit() {
    let breaker = consecutive(1);
    let late = breaker.try_acquire().unwrap();
    let trial = half_open(&breaker).await;
    late.success();
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(
        (breaker.snapshot().stale, breaker.snapshot().trial_successes),
        (1, 0)
    );
    trial.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_episodes_failures_do_not_open_a_circuit_that_has_recovered() {
    let breaker = consecutive(2);
    let late = permits(&breaker, 5);
    half_open(&breaker).await.success();
    for permit in late {
        permit.failure();
    }
    assert_eq!(
        (breaker.state(), breaker.snapshot().stale),
        (State::Closed, 5)
    );
    assert_eq!(breaker.snapshot().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_trial_of_an_earlier_half_open_episode_does_not_decide_a_later_one() {
    let breaker = builder()
        .consecutive_failures(1)
        .half_open_trials(2)
        .build()
        .unwrap();
    let slow = half_open(&breaker).await;
    breaker.try_acquire().unwrap().failure();
    let trial = half_open(&breaker).await;
    slow.success();
    assert_eq!(
        (breaker.state(), breaker.snapshot().trial_successes),
        (State::HalfOpen, 0)
    );
    assert_eq!(
        breaker.snapshot().trials_in_flight,
        1,
        "and frees no slot of the later one"
    );
    trial.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn half_open_admits_no_more_than_its_cap_of_a_thousand_calls() {
    let breaker = builder()
        .consecutive_failures(1)
        .half_open_trials(3)
        .build()
        .unwrap();
    breaker.try_acquire().unwrap().failure();
    tokio::time::advance(WAIT).await;
    let admitted: Vec<_> = (0..1_000)
        .filter_map(|_| breaker.try_acquire().ok())
        .collect();
    assert_eq!(admitted.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_rules_minimum_does_not_apply_while_half_open() {
    let rate = FailureRate::over_calls(100)
        .threshold(0.5)
        .minimum_calls(50);
    let breaker = builder().failure_rate(rate).build().unwrap();
    half_open(&breaker).await.failure();
    assert_eq!(breaker.state(), State::Open, "one failed trial is enough");
    tokio::time::advance(WAIT).await;
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
    let window = breaker.snapshot().windows[0];
    assert_eq!(
        (window.calls, window.rate),
        (0, None),
        "the window begins afresh"
    );
}

#[tokio::test(start_paused = true)]
async fn the_trial_comes_at_exactly_the_wait_even_below_a_second() {
    for wait in [Duration::from_millis(1), Duration::from_millis(250), WAIT] {
        let breaker = CircuitBreaker::builder("short")
            .consecutive_failures(1)
            .open_for(wait)
            .build()
            .unwrap();
        breaker.try_acquire().unwrap().failure();
        tokio::time::advance(wait - Duration::from_millis(1)).await;
        let refused = breaker.try_acquire().unwrap_err();
        assert_eq!(refused.retry_after(), Some(Duration::from_millis(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(breaker.try_acquire().is_ok(), "{wait:?}");
    }
}

#[test]
fn reset_works_on_a_closed_circuit_too() {
    let rate = FailureRate::over_calls(10).threshold(0.9).minimum_calls(10);
    let breaker = builder()
        .consecutive_failures(3)
        .failure_rate(rate)
        .build()
        .unwrap();
    record(&breaker, "FF");
    let late = breaker.try_acquire().unwrap();
    breaker.reset();
    late.failure();
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.consecutive_failures, snapshot.windows[0].calls),
        (0, 0)
    );
    record(&breaker, "FF");
    assert_eq!(breaker.state(), State::Closed);
    record(&breaker, "F");
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_a_manual_close_and_a_manual_open() {
    let breaker = consecutive(1);
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|_: ()| ready(Ok::<_, Infallible>(()))));
    record(&breaker, "F");
    service.ready().await.unwrap().call(()).await.unwrap_err();
    breaker.force_closed();
    service.ready().await.unwrap().call(()).await.unwrap();
    record(&breaker, "FFFFF");
    assert_eq!(breaker.state(), State::Closed, "held closed");
    breaker.force_open();
    tokio::time::advance(10 * WAIT).await;
    let err = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(
        err.to_string(),
        "`stock` refused the call: the circuit is held open by hand"
    );
    breaker.reset();
    service.ready().await.unwrap().call(()).await.unwrap();
    record(&breaker, "F");
    assert_eq!(breaker.state(), State::Open, "the rules apply again");
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_use_the_handle_and_even_change_the_state() {
    let handle: Arc<OnceLock<CircuitBreaker>> = Arc::default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let breaker = builder()
        .consecutive_failures(1)
        .listener({
            let (handle, seen) = (handle.clone(), seen.clone());
            move |transition| {
                let breaker = handle.get().unwrap();
                let snapshot = breaker.snapshot();
                assert_eq!(
                    breaker.recent_transitions().last().unwrap().generation,
                    snapshot.generation
                );
                if transition.to == State::Open {
                    breaker.reset();
                }
                seen.lock()
                    .unwrap()
                    .push((transition.generation, transition.from, transition.to));
            }
        })
        .build()
        .unwrap();
    handle.set(breaker.clone()).unwrap();
    record(&breaker, "F");
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(
        *seen.lock().unwrap(),
        [
            (1, State::Closed, State::Open),
            (2, State::Open, State::Closed),
        ]
    );
}

#[test]
fn a_panicking_listener_breaks_neither_the_call_nor_the_breaker_nor_other_listeners() {
    let seen = Arc::new(AtomicUsize::new(0));
    let breaker = builder()
        .consecutive_failures(1)
        .listener(|_| panic!("a listener's own"))
        .listener({
            let seen = seen.clone();
            move |_| {
                seen.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()
        .unwrap();
    record(&breaker, "F");
    breaker.reset();
    record(&breaker, "F");
    assert_eq!(
        (seen.load(Ordering::Relaxed), breaker.state()),
        (3, State::Open)
    );

    // And not while another panic is on its way either.
    breaker.reset();
    let during = thread::scope(|scope| {
        scope
            .spawn(|| {
                let _permit = breaker.try_acquire().unwrap();
                panic!("the call's own");
            })
            .join()
    });
    assert!(during.is_err());
    assert_eq!(
        (seen.load(Ordering::Relaxed), breaker.state()),
        (5, State::Open)
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_cancelled_before_it_answers_does_not_wedge_the_circuit() {
    let breaker = consecutive(1);
    let mut service = CircuitBreakerLayer::new(breaker.clone())
        .layer(service_fn(|_: ()| pending::<Result<(), Infallible>>()));
    drop(half_open(&breaker).await);
    for _ in 0..3 {
        tokio::time::advance(WAIT).await;
        let call = service.ready().await.unwrap().call(());
        assert!(
            tokio::time::timeout(Duration::from_secs(1), call)
                .await
                .is_err()
        );
        assert_eq!(breaker.state(), State::Open);
    }
    tokio::time::advance(WAIT).await;
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn time_in_state_and_transitions_add_up() {
    let breaker = consecutive(1);
    tokio::time::advance(Duration::from_secs(3)).await;
    let trial = half_open(&breaker).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    trial.success();
    tokio::time::advance(Duration::from_secs(4)).await;
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.time_in_state.closed, Duration::from_secs(7));
    assert_eq!(snapshot.time_in_state.open, WAIT);
    assert_eq!(snapshot.time_in_state.half_open, Duration::from_secs(2));
    let causes: Vec<_> = breaker
        .recent_transitions()
        .iter()
        .map(|transition| transition.cause.as_str())
        .collect();
    assert_eq!(
        causes,
        ["consecutive_failures", "wait_elapsed", "trials_succeeded"]
    );
    assert_eq!(snapshot.transitions, 3);
}
