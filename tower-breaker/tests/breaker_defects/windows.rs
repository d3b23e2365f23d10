//! What the rules count.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tower_breaker::{CircuitBreaker, FailureRate, SlowCallRate, State};

use super::{WAIT, builder, half_open, record};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_time_window_below_a_second_counts_and_slides() {
    let rate = FailureRate::over_time(100 * MS)
        .slices(10)
        .threshold(1.0)
        .minimum_calls(3);
    let breaker = builder().failure_rate(rate).build().unwrap();
    record(&breaker, "FF");
    tokio::time::advance(99 * MS).await;
    assert_eq!(breaker.snapshot().windows[0].hits, 2, "still in the window");
    tokio::time::advance(MS).await;
    assert_eq!(breaker.snapshot().windows[0].calls, 0, "no longer");
    record(&breaker, "FF");
    tokio::time::advance(50 * MS).await;
    assert_eq!(breaker.state(), State::Closed);
    record(&breaker, "F");
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn tiny_traffic_needs_a_minimum_of_failures() {
    let rate = FailureRate::over_calls(100)
        .threshold(0.5)
        .minimum_calls(2)
        .minimum_failures(5);
    let breaker = builder().failure_rate(rate).build().unwrap();
    record(&breaker, "FFFF");
    assert_eq!(breaker.state(), State::Closed, "four are too few");
    assert_eq!(
        breaker.snapshot().windows[0].rate,
        Some(1.0),
        "though all have failed"
    );
    record(&breaker, "F");
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn an_undefined_rate_is_shown_as_undefined() {
    let breaker = builder()
        .failure_rate(FailureRate::over_calls(10).minimum_calls(3))
        .failure_rate(FailureRate::over_time(WAIT).minimum_calls(3))
        .slow_call_rate(
            SlowCallRate::over_calls(10)
                .slower_than(WAIT)
                .minimum_calls(3),
        )
        .half_open_trials(2)
        .success_threshold(2)
        .build()
        .unwrap();
    let rates = || breaker.snapshot().windows.into_iter().map(|w| w.rate);
    for results in ["", "F", "."] {
        record(&breaker, results);
        assert!(rates().all(|rate| rate.is_none()), "below the minimum");
    }
    record(&breaker, ".");
    let third = Some(1.0 / 3.0);
    assert!(rates().eq([third, third, Some(0.0)]));

    assert_eq!(breaker.snapshot().trial_success_rate, None, "closed");
    let trial = half_open(&breaker).await;
    assert_eq!(breaker.snapshot().trial_success_rate, None, "no result yet");
    trial.success();
    assert_eq!(breaker.snapshot().trial_success_rate, Some(1.0));
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
    assert!(rates().all(|rate| rate.is_none()), "afresh");
}

#[test]
fn totals_never_go_negative_under_load() {
    const CALLS: u32 = 200_000;
    let time = Arc::new(AtomicU64::new(0));
    let breaker = CircuitBreaker::builder("busy")
        // Never reached: of any three calls of a thread one succeeds.
        .failure_rate(FailureRate::over_calls(7).threshold(1.0).minimum_calls(7))
        .failure_rate(
            FailureRate::over_time(50 * MS)
                .slices(5)
                .threshold(1.0)
                .minimum_calls(100),
        )
        .clock({
            let (start, time) = (Instant::now(), time.clone());
            move || start + Duration::from_micros(time.load(Ordering::Relaxed))
        })
        .build()
        .unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let snapshot = breaker.snapshot();
                for window in &snapshot.windows {
                    assert!(window.hits <= window.calls, "{window:?}");
                    assert!(window.calls <= 2 * CALLS, "{window:?}");
                }
                assert!(snapshot.windows[0].calls <= 7, "{snapshot:?}");
                seen += 1;
            }
            seen
        });
        let threads = [0, 5].map(|shift| {
            let (breaker, time) = (&breaker, &time);
            scope.spawn(move || {
                for call in 0..CALLS {
                    time.fetch_add(10, Ordering::Relaxed);
                    match breaker.try_acquire() {
                        Ok(permit) if (call + shift) % 3 == 0 => permit.success(),
                        Ok(permit) => permit.failure(),
                        Err(refused) => panic!("{refused}"),
                    }
                }
            })
        });
        let done = threads.map(thread::ScopedJoinHandle::join);
        stop.store(true, Ordering::Relaxed);
        assert!(done.iter().all(Result::is_ok));
        assert!(watcher.join().unwrap() > 0);
    });
    time.fetch_add(1_000_000, Ordering::Relaxed);
    assert_eq!(
        breaker.snapshot().windows[1].calls,
        0,
        "long out of the window"
    );
}

#[test]
fn a_clock_that_goes_back_breaks_nothing() {
    let now = Arc::new(AtomicU64::new(60_000));
    let start = Instant::now();
    let rate = FailureRate::over_time(WAIT).threshold(0.9).minimum_calls(4);
    let breaker = builder()
        .failure_rate(rate)
        .clock({
            let now = now.clone();
            move || start + Duration::from_millis(now.load(Ordering::Relaxed))
        })
        .build()
        .unwrap();
    for at in [90_000, 80_000, 75_000, 90_000, 70_000] {
        now.store(at, Ordering::Relaxed);
        record(&breaker, ".F");
        let window = breaker.snapshot().windows[0];
        assert!(window.hits <= window.calls && window.calls <= 10);
    }
    breaker.reset();
    now.store(100_000, Ordering::Relaxed);
    record(&breaker, "FFFF");
    assert_eq!(breaker.state(), State::Open);
    now.store(50_000, Ordering::Relaxed);
    assert!(breaker.try_acquire().is_err(), "no earlier for that");
    breaker.force_open_for(WAIT);
    assert_eq!(breaker.snapshot().time_in_state.open, Duration::ZERO);
    now.store(110_000, Ordering::Relaxed);
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
    let at: Vec<_> = breaker.recent_transitions().iter().map(|t| t.at).collect();
    assert!(at.is_sorted(), "{at:?}");
}
