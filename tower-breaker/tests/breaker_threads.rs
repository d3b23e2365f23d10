//! Two threads on one circuit: totals are exact, and no event is lost, doubled or out of order.

#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tower_breaker::{CircuitBreaker, FailureRate, State, Transition};

const CALLS: u64 = 1_000_000;

#[derive(Default, Debug, PartialEq)]
struct Tally {
    admitted: u64,
    refused: u64,
    succeeded: u64,
    failed: u64,
    ignored: u64,
    abandoned: u64,
}

fn drive(breaker: &CircuitBreaker, time: &AtomicU64, seed: u64) -> Tally {
    let mut tally = Tally::default();
    let mut dice = seed;
    for _ in 0..CALLS {
        // Knuth's linear congruential generator; its high bits are good enough here.
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        time.fetch_add(1, Ordering::Relaxed);
        match breaker.try_acquire() {
            Err(_) => tally.refused += 1,
            Ok(permit) => {
                tally.admitted += 1;
                match dice >> 60 {
                    0..9 => {
                        permit.success();
                        tally.succeeded += 1;
                    }
                    9..14 => {
                        permit.failure();
                        tally.failed += 1;
                    }
                    14 => {
                        permit.ignore();
                        tally.ignored += 1;
                    }
                    _ => {
                        drop(permit);
                        tally.abandoned += 1;
                    }
                }
            }
        }
    }
    tally
}

#[test]
fn totals_are_exact_and_events_in_order_over_two_million_calls() {
    let time = Arc::new(AtomicU64::new(0));
    let events: Arc<Mutex<Vec<Transition>>> = Arc::default();
    let breaker = CircuitBreaker::builder("busy")
        .consecutive_failures(8)
        .failure_rate(FailureRate::over_calls(16).threshold(0.75).minimum_calls(8))
        .open_for(Duration::from_millis(1))
        .half_open_trials(2)
        .success_threshold(2)
        .clock({
            let (start, time) = (Instant::now(), time.clone());
            // A call takes 10 us, so an open wait lasts a hundred of them.
            move || start + Duration::from_micros(10 * time.load(Ordering::Relaxed))
        })
        .listener({
            let events = events.clone();
            move |transition| events.lock().unwrap().push(transition.clone())
        })
        .build()
        .unwrap();

    let start = Barrier::new(2);
    let tallies = thread::scope(|scope| {
        [1, 2]
            .map(|seed| {
                let (breaker, time, start) = (&breaker, &time, &start);
                scope.spawn(move || {
                    start.wait();
                    drive(breaker, time, seed)
                })
            })
            .map(|thread| thread.join().unwrap())
    });

    let sum = |field: fn(&Tally) -> u64| tallies.iter().map(field).sum::<u64>();
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.admitted, sum(|tally| tally.admitted));
    assert_eq!(snapshot.refused, sum(|tally| tally.refused));
    assert_eq!(snapshot.succeeded, sum(|tally| tally.succeeded));
    assert_eq!(snapshot.failed, sum(|tally| tally.failed));
    assert_eq!(snapshot.ignored, sum(|tally| tally.ignored));
    assert_eq!(snapshot.abandoned, sum(|tally| tally.abandoned));
    assert_eq!(snapshot.admitted + snapshot.refused, 2 * CALLS);
    assert_eq!(snapshot.trials_in_flight, 0);

    let events = events.lock().unwrap();
    assert!(
        events.len() > 100,
        "the circuit was hardly ever opened: {} events",
        events.len()
    );
    assert_eq!(snapshot.transitions, events.len() as u64);
    assert_eq!(snapshot.generation, events.len() as u64);
    let mut state = State::Closed;
    let mut at = None;
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.generation, index as u64 + 1);
        assert_eq!(event.from, state);
        assert!(at <= Some(event.at));
        (state, at) = (event.to, Some(event.at));
    }
    assert_eq!(snapshot.state, state);
    let to = |state| events.iter().filter(|event| event.to == state).count() as u64;
    let from_half_open = events.iter().filter(|event| event.from == State::HalfOpen);
    assert_eq!(
        snapshot.trials_failed,
        from_half_open
            .filter(|event| event.to == State::Open)
            .count() as u64
    );
    assert!(snapshot.trials_succeeded >= 2 * to(State::Closed));
}
