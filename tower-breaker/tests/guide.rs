//! The figures of docs/guide/circuit-breaker.md, "Choose the numbers".

#![allow(clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tower_breaker::{
    CircuitBreaker, FailureRate, Permit, State,
    breaker::{CircuitBreakerBuilder, SlowCallRate},
};

/// The chance that at least `hits` of `calls` calls are hits, if each is one with a chance of `share`.
fn at_least(hits: u32, calls: u32, share: f64) -> f64 {
    let choose = |k: u32| {
        (0..k)
            .map(|i| f64::from(calls - i) / f64::from(i + 1))
            .product::<f64>()
    };
    let exactly =
        |k: u32| choose(k) * share.powi(k as i32) * (1.0 - share).powi((calls - k) as i32);
    (hits..=calls).map(exactly).sum()
}

/// To two digits, as the guide gives it.
fn is_about(value: f64, said: f64) -> bool {
    (value / said - 1.0).abs() < 0.07
}

#[test]
fn chances_of_a_false_alarm() {
    assert!(is_about(at_least(5, 10, 0.05), 6.0 / 100_000.0));
    assert!(is_about(1.0 / at_least(10, 20, 0.05), 90_000_000.0));
    assert!(is_about(at_least(4, 20, 0.05), 1.6 / 100.0));
    assert!(is_about(1.0 / at_least(20, 100, 0.05), 10_000_000.0));
    assert_eq!(0.5_f64.powi(10), 1.0 / 1024.0);
}

#[test]
fn chances_of_trials() {
    assert_eq!(0.5_f64.powi(3), 1.0 / 8.0);
    assert!(is_about(1.0 - 0.95_f64.powi(10), 0.4));
}

#[test]
fn chances_of_a_row_in_the_worked_example() {
    let a_day = 40.0 * 24.0 * 3600.0;
    assert!(is_about(a_day, 3_500_000.0));
    assert!(is_about(0.05_f64.powi(5), 3.0 / 10_000_000.0));
    let alarms = |row: i32| a_day * 0.05_f64.powi(row);
    assert!(is_about(alarms(5), 1.08));
    assert!(alarms(10) < 1e-6);
}

#[test]
fn each_wait_is_all_waits_before_it_and_the_first() {
    let wait = |attempt| 5 * 2_u32.pow(attempt);
    for attempt in 0..10 {
        assert_eq!(wait(attempt), (0..attempt).map(wait).sum::<u32>() + 5);
    }
}

#[test]
fn the_second_trial_comes_just_after_the_restart() {
    let time_out = 1.0;
    let second_trial = |jitter: f64| 8.0 * jitter + time_out + 16.0 * jitter;
    assert!((20.0..21.0).contains(&second_trial(0.8)));
    assert_eq!(second_trial(1.0), 25.0);
}

/// Steady calls that succeed in 20 ms for about two minutes; then all take `last` and end as failures or not. Gives how many
/// milliseconds after that the circuit opens: the least and the most, over where in a slice of the window it begins.
fn opens_after(
    rule: impl Fn(CircuitBreakerBuilder) -> CircuitBreakerBuilder,
    every: u64,
    last: u64,
    fail: bool,
) -> (u64, u64) {
    let all = (0..40).map(|part| {
        let sick_from = 120_000 + part * every;
        opens_at(&rule, every, last, fail, sick_from) - sick_from
    });
    let all: Vec<_> = all.collect();
    (*all.iter().min().unwrap(), *all.iter().max().unwrap())
}

fn opens_at(
    rule: impl Fn(CircuitBreakerBuilder) -> CircuitBreakerBuilder,
    every: u64,
    last: u64,
    fail: bool,
    sick_from: u64,
) -> u64 {
    let origin = Instant::now();
    let time = Arc::new(AtomicU64::new(0));
    let clock = {
        let time = time.clone();
        move || origin + Duration::from_millis(time.load(Ordering::Relaxed))
    };
    let breaker = rule(CircuitBreaker::builder("inventory"))
        .clock(clock)
        .build()
        .unwrap();
    // When each call ends, and whether it has failed then.
    let mut under_way: VecDeque<(u64, Permit, bool)> = VecDeque::new();
    for now in 0..sick_from + 100_000 {
        time.store(now, Ordering::Relaxed);
        while under_way.front().is_some_and(|&(end, ..)| end == now) {
            let (_, permit, failed) = under_way.pop_front().unwrap();
            if failed {
                permit.failure()
            } else {
                permit.success()
            }
        }
        if breaker.state() == State::Open {
            return now;
        }
        if now % every == 0 {
            let sick = now >= sick_from;
            let end = now + if sick { last } else { 20 };
            under_way.push_back((end, breaker.try_acquire().unwrap(), sick && fail));
        }
    }
    panic!("never opened");
}

const DAY: u64 = 25; // 40 calls a second
const NIGHT: u64 = 2_000;
const TIME_OUT: u64 = 1_000;

#[test]
fn ten_in_a_row_open_soon_by_day_and_later_at_night() {
    let row = |builder: CircuitBreakerBuilder| builder.consecutive_failures(10);
    assert_eq!(opens_after(row, DAY, TIME_OUT, true), (1_225, 1_225));
    assert_eq!(opens_after(row, NIGHT, TIME_OUT, true), (19_000, 19_000));
}

#[test]
fn a_rate_of_a_half_takes_about_half_its_window() {
    let rate = |builder: CircuitBreakerBuilder| {
        builder.failure_rate(FailureRate::over_time(Duration::from_secs(10)).minimum_calls(20))
    };
    assert_eq!(opens_after(rate, DAY, TIME_OUT, true), (5_000, 5_475));
}

#[test]
fn slow_calls_open_without_a_failure() {
    let rate = |builder: CircuitBreakerBuilder| {
        let limit = Duration::from_millis(400);
        let rate = SlowCallRate::over_time(Duration::from_secs(10)).slower_than(limit);
        builder.slow_call_rate(rate.minimum_calls(20))
    };
    assert_eq!(opens_after(rate, DAY, 600, false), (4_800, 5_275));
}
