//! Two threads on one circuit: totals are exact, and no event is lost, doubled or out of order.

#![allow(clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use tower_breaker::{
    CircuitBreaker, FailureRate, LeaseExpired, OpenWait, Permit, Ramp, SlowCallRate, Snapshot,
    State, Transition, TrialRate,
    breaker::{Cause, CircuitBreakerBuilder, Events},
};

const CALLS: u64 = 1_000_000;
const MS: Duration = Duration::from_millis(1);

#[derive(Default, Debug, PartialEq)]
struct Tally {
    admitted: u64,
    refused: u64,
    succeeded: u64,
    failed: u64,
    ignored: u64,
    abandoned: u64,
}

impl Tally {
    fn end(&mut self, permit: Permit, dice: u64) {
        match dice >> 60 {
            0..9 => {
                permit.success();
                self.succeeded += 1;
            }
            9..14 => {
                permit.failure();
                self.failed += 1;
            }
            14 => {
                permit.ignore();
                self.ignored += 1;
            }
            _ => {
                drop(permit);
                self.abandoned += 1;
            }
        }
    }
}

/// Knuth's linear congruential generator; its high bits are good enough here.
fn roll(dice: &mut u64) -> u64 {
    *dice = dice
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *dice
}

/// Calls, each taking one step of time. A few hang, for as long as it takes the others to make a few hundred calls.
fn drive(breaker: &CircuitBreaker, time: &AtomicU64, seed: u64) -> Tally {
    let mut tally = Tally::default();
    let mut dice = seed;
    let mut hanging: VecDeque<(u64, Permit)> = VecDeque::new();
    for call in 0..CALLS {
        let rolled = roll(&mut dice);
        time.fetch_add(1, Ordering::Relaxed);
        match breaker.try_acquire() {
            Err(_) => tally.refused += 1,
            Ok(permit) => {
                tally.admitted += 1;
                // Of the trials more, so that some leases are over.
                let often = if breaker.state() == State::HalfOpen {
                    64
                } else {
                    8
                };
                if rolled >> 52 & 0xFF < often {
                    hanging.push_back((call + 300, permit));
                } else {
                    tally.end(permit, rolled);
                }
            }
        }
        while hanging.front().is_some_and(|(until, _)| *until <= call) {
            if let Some((_, permit)) = hanging.pop_front() {
                tally.end(permit, roll(&mut dice));
            }
        }
    }
    for (_, permit) in hanging {
        tally.end(permit, roll(&mut dice));
    }
    tally
}

/// A circuit whose time is that of the counter, in steps of 10 us, and all that it tells.
struct Watched {
    breaker: CircuitBreaker,
    time: Arc<AtomicU64>,
    heard: Arc<Mutex<Vec<Transition>>>,
    events: Events,
}

fn watched(configure: impl FnOnce(CircuitBreakerBuilder) -> CircuitBreakerBuilder) -> Watched {
    let time = Arc::new(AtomicU64::new(0));
    let heard: Arc<Mutex<Vec<Transition>>> = Arc::default();
    let builder = CircuitBreaker::builder("busy")
        .open_for(MS)
        .clock({
            let (start, time) = (Instant::now(), time.clone());
            move || start + Duration::from_micros(10 * time.load(Ordering::Relaxed))
        })
        .listener({
            let heard = heard.clone();
            move |transition| heard.lock().unwrap().push(transition.clone())
        });
    let breaker = configure(builder).build().unwrap();
    Watched {
        events: breaker.events(),
        breaker,
        time,
        heard,
    }
}

impl Watched {
    fn drive(&self) -> [Tally; 2] {
        let start = Barrier::new(2);
        thread::scope(|scope| {
            [1, 2]
                .map(|seed| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        drive(&self.breaker, &self.time, seed)
                    })
                })
                .map(|thread| thread.join().unwrap())
        })
    }

    /// Every total is the sum of what the threads did.
    fn check_totals(&self, tallies: &[Tally; 2]) -> Snapshot {
        let sum = |field: fn(&Tally) -> u64| tallies.iter().map(field).sum::<u64>();
        let snapshot = self.breaker.snapshot();
        assert_eq!(snapshot.admitted, sum(|tally| tally.admitted));
        assert_eq!(snapshot.refused, sum(|tally| tally.refused));
        assert_eq!(snapshot.succeeded, sum(|tally| tally.succeeded));
        assert_eq!(snapshot.failed, sum(|tally| tally.failed));
        assert_eq!(snapshot.ignored, sum(|tally| tally.ignored));
        assert_eq!(snapshot.abandoned, sum(|tally| tally.abandoned));
        assert_eq!(snapshot.admitted + snapshot.refused, 2 * CALLS);
        assert_eq!(snapshot.trials_in_flight, 0);
        snapshot
    }

    /// What the listener heard and what the stream gave are the same, and each transition follows from the one before.
    fn check_events(&mut self, snapshot: &Snapshot) -> Vec<Transition> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        let received = received(&mut self.events);
        let told = |transition: &Transition| {
            (
                transition.generation,
                transition.from,
                transition.to,
                transition.cause,
                transition.at,
            )
        };
        assert!(heard.iter().map(told).eq(received.iter().map(told)));
        assert_eq!(snapshot.transitions, heard.len() as u64);
        assert_eq!(snapshot.generation, heard.len() as u64);
        let mut state = State::Closed;
        let mut at = None;
        for (index, event) in heard.iter().enumerate() {
            assert_eq!(event.generation, index as u64 + 1);
            assert_eq!(event.from, state);
            assert!(at <= Some(event.at));
            (state, at) = (event.to, Some(event.at));
        }
        assert_eq!(snapshot.state, state);
        heard
    }
}

fn received(events: &mut Events) -> Vec<Transition> {
    let mut received = Vec::new();
    loop {
        let next = tokio_test::task::spawn(events.recv()).poll();
        match next {
            Poll::Ready(Some(transition)) => received.push(transition),
            Poll::Ready(None) | Poll::Pending => return received,
        }
    }
}

fn count(events: &[Transition], is: impl Fn(&Transition) -> bool) -> u64 {
    events.iter().filter(|event| is(event)).count() as u64
}

#[test]
fn totals_are_exact_and_events_in_order_over_two_million_calls() {
    let mut watched = watched(|builder| {
        builder
            .consecutive_failures(8)
            .failure_rate(FailureRate::over_calls(16).threshold(0.75).minimum_calls(8))
            .failure_rate(
                FailureRate::over_time(10 * MS)
                    .slices(5)
                    .threshold(0.45)
                    .minimum_calls(200),
            )
            .half_open_trials(2)
            .success_threshold(2)
            .trial_lease(MS)
    });
    let tallies = watched.drive();
    let snapshot = watched.check_totals(&tallies);
    let events = watched.check_events(&snapshot);
    for cause in [
        Cause::ConsecutiveFailures,
        Cause::FailureRate,
        Cause::WaitElapsed,
        Cause::TrialsSucceeded,
        Cause::TrialFailed,
        Cause::LeaseExpired,
    ] {
        let times = count(&events, |event| event.cause == cause);
        assert!(times > 10, "{cause} hardly ever happened: {times} times");
    }
    // A failed trial ends its episode, and so does one whose lease is over.
    let reopened = |event: &Transition| event.from == State::HalfOpen && event.to == State::Open;
    assert_eq!(snapshot.trials_failed, count(&events, reopened));
    // Another lease may have been over in the same episode, too late to decide.
    let expired = count(&events, |event| event.cause == Cause::LeaseExpired);
    assert!((expired..2 * expired).contains(&snapshot.leases_expired));
    let closed = count(&events, |event| event.to == State::Closed);
    assert!(snapshot.trials_succeeded >= 2 * closed);
}

#[test]
fn leases_that_are_ignored_a_trial_rate_slow_calls_and_a_ramp_lose_nothing_either() {
    let mut watched = watched(|builder| {
        builder
            .consecutive_failures(10)
            .failure_rate(FailureRate::over_calls(32).threshold(0.7).minimum_calls(20))
            .slow_call_rate(
                SlowCallRate::over_time(20 * MS)
                    .slices(4)
                    .slower_than(2 * MS)
                    .threshold(0.03)
                    .minimum_calls(200),
            )
            .half_open_trials(3)
            .trial_rate(TrialRate::of_trials(5).threshold(0.6))
            .trial_lease(MS)
            .on_lease_expired(LeaseExpired::Ignore)
            .ramp(Ramp::over(2 * MS).from(0.2))
    });
    let tallies = watched.drive();
    let snapshot = watched.check_totals(&tallies);
    let events = watched.check_events(&snapshot);
    assert!(count(&events, |event| event.cause == Cause::SlowCallRate) > 10);
    assert!(count(&events, |event| event.cause == Cause::TrialFailed) > 10);
    assert!(count(&events, |event| event.cause == Cause::TrialsSucceeded) > 10);
    assert_eq!(
        count(&events, |event| event.cause == Cause::LeaseExpired),
        0
    );
    assert!(snapshot.leases_expired > 10, "{snapshot:?}");
    assert!(snapshot.slow > 10 && snapshot.stale >= snapshot.leases_expired);
    // Three of five failures open again, three successes close.
    assert!(
        snapshot.trials_failed >= 3 * count(&events, |event| event.cause == Cause::TrialFailed)
    );
    assert!(
        snapshot.trials_succeeded
            >= 3 * count(&events, |event| event.cause == Cause::TrialsSucceeded)
    );
}

#[test]
fn windows_are_exact_when_nothing_trips() {
    // Each thread fails three times of four, and so the calls in a window are never all failures.
    let watched = watched(|builder| {
        builder
            .consecutive_failures(1_000_000)
            .failure_rate(
                FailureRate::over_calls(1_000)
                    .threshold(1.0)
                    .minimum_calls(1_000),
            )
            .failure_rate(
                FailureRate::over_time(64 * 1_000 * MS)
                    .slices(64)
                    .threshold(1.0)
                    .minimum_calls(100),
            )
            .trial_lease(None)
    });
    let breaker = &watched.breaker;
    let start = Barrier::new(2);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                start.wait();
                for call in 0..CALLS {
                    watched.time.fetch_add(1, Ordering::Relaxed);
                    let permit = breaker.try_acquire().unwrap();
                    match call % 4 {
                        3 => permit.success(),
                        _ => permit.failure(),
                    }
                }
            });
        }
    });
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.state, State::Closed);
    let [count, time] = snapshot.windows[..] else {
        panic!("{snapshot:?}")
    };
    // 20 s of 64 have passed.
    assert_eq!(
        (u64::from(time.calls), u64::from(time.hits)),
        (2 * CALLS, 2 * CALLS / 4 * 3)
    );
    assert_eq!(count.calls, 1_000);
    assert!((740..=760).contains(&count.hits), "{count:?}");
    // Now that one thread is left, every total that has drifted would show.
    for calls in 1..=1_000 {
        breaker.try_acquire().unwrap().success();
        if calls % 100 == 0 {
            let hits = breaker.snapshot().windows[0].hits;
            assert!(hits <= 760 - calls * 7 / 10, "{calls}: {hits}");
        }
    }
    assert_eq!(breaker.snapshot().windows[0].hits, 0);
}

#[test]
fn failures_in_a_row_are_counted_exactly() {
    let watched = watched(|builder| builder.consecutive_failures(1_000_000));
    let breaker = &watched.breaker;
    let start = Barrier::new(2);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..CALLS / 2 - 1 {
                    breaker.try_acquire().unwrap().failure();
                }
            });
        }
    });
    let snapshot = breaker.snapshot();
    assert_eq!(u64::from(snapshot.consecutive_failures), CALLS - 2);
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Closed);
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_reader_that_keeps_up_gets_the_same_events_as_one_that_reads_at_the_end() {
    let mut watched = watched(|builder| {
        builder
            .consecutive_failures(3)
            .half_open_trials(2)
            .trial_lease(MS)
    });
    let mut reading = watched.breaker.events();
    let live = thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let mut live = Vec::new();
                while let Some(transition) = reading.recv().await {
                    let is_last = transition.cause == Cause::Reset;
                    live.push(transition.generation);
                    if is_last {
                        break;
                    }
                }
                live
            })
        });
        let tallies = watched.drive();
        watched.check_totals(&tallies);
        watched.breaker.reset();
        reader.join().unwrap()
    });
    let snapshot = watched.breaker.snapshot();
    let events = watched.check_events(&snapshot);
    assert!(events.len() > 1_000, "{}", events.len());
    assert!(live.iter().eq(events.iter().map(|event| &event.generation)));
}

#[test]
fn trials_of_episodes_that_follow_each_other_at_once_never_wedge_the_circuit() {
    // No time passes, and the open wait is none: half-open ends and begins again within a few instructions, over and over, while
    // some of four threads on two cores are always suspended somewhere in the middle.
    let watched = watched(|builder| {
        builder
            .consecutive_failures(1)
            .open_for(OpenWait::from_fn(|_| Duration::ZERO))
            .half_open_trials(2)
            .success_threshold(2)
    });
    let breaker = &watched.breaker;
    thread::scope(|scope| {
        for seed in 1..=4 {
            scope.spawn(move || {
                let mut dice = seed;
                for _ in 0..CALLS / 5 {
                    if let Ok(permit) = breaker.try_acquire() {
                        match roll(&mut dice) >> 62 {
                            0 | 1 => permit.failure(),
                            2 => permit.success(),
                            _ => permit.ignore(),
                        }
                    }
                }
            });
        }
    });
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.trials_in_flight, 0, "{snapshot:?}");
    assert_eq!(
        snapshot.admitted,
        snapshot.succeeded + snapshot.failed + snapshot.ignored
    );
    assert!(snapshot.transitions > 10_000, "{snapshot:?}");
    for _ in 0..2 {
        breaker.try_acquire().unwrap().success();
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn hands_on_the_switch_lose_no_call_and_no_event() {
    let mut watched = watched(|builder| {
        builder
            .consecutive_failures(4)
            .failure_rate(
                FailureRate::over_time(10 * MS)
                    .slices(5)
                    .threshold(0.6)
                    .minimum_calls(20),
            )
            .half_open_trials(2)
            .trial_lease(MS)
            .ramp(Ramp::over(MS))
    });
    let stop = AtomicBool::new(false);
    let (tallies, by_hand) = thread::scope(|scope| {
        let hands = scope.spawn(|| {
            let (mut dice, mut would_refuse) = (7, false);
            let breaker = &watched.breaker;
            while !stop.load(Ordering::Relaxed) {
                match roll(&mut dice) >> 61 {
                    0 => breaker.force_open(),
                    1 => breaker.force_open_for(MS),
                    2 => breaker.force_closed_for(MS),
                    3 => breaker.force_closed(),
                    4 => breaker.disable(),
                    5 => drop(breaker.half_open()),
                    _ => breaker.reset(),
                }
                would_refuse ^= true;
                breaker.set_dry_run(would_refuse && roll(&mut dice) >> 62 == 0);
                for _ in 0..roll(&mut dice) >> 55 {
                    std::hint::spin_loop();
                }
            }
            breaker.set_dry_run(false);
        });
        let tallies = watched.drive();
        stop.store(true, Ordering::Relaxed);
        (tallies, hands.join())
    });
    by_hand.unwrap();
    watched.breaker.reset();
    let snapshot = watched.check_totals(&tallies);
    assert!(snapshot.would_refuse > 0 && snapshot.stale > 0);
    let events = watched.check_events(&snapshot);
    assert!(events.len() > 1_000, "{}", events.len());
    for _ in 0..4 {
        assert_eq!(watched.breaker.state(), State::Closed);
        watched.breaker.try_acquire().unwrap().failure();
    }
    assert_eq!(watched.breaker.state(), State::Open);
}

/// Two threads make the calls, four each and every round anew, and however they interleave the last one makes the circuit open.
fn trips_in_every_round(
    results: [bool; 2],
    configure: impl FnOnce(CircuitBreakerBuilder) -> CircuitBreakerBuilder,
) {
    const ROUNDS: u64 = 20_000;
    let watched = watched(|builder| configure(builder).open_for(Duration::from_secs(86_400)));
    let (breaker, time) = (&watched.breaker, &watched.time);
    let [begin, end] = [Barrier::new(3), Barrier::new(3)];
    thread::scope(|scope| {
        for failed in results {
            let (begin, end) = (&begin, &end);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    begin.wait();
                    for _ in 0..4 {
                        time.fetch_add(1, Ordering::Relaxed);
                        match breaker.try_acquire() {
                            Ok(permit) if failed => permit.failure(),
                            Ok(permit) => permit.success(),
                            Err(_) => {}
                        }
                    }
                    end.wait();
                }
            });
        }
        let mut missed = 0;
        for _ in 0..ROUNDS {
            breaker.reset();
            begin.wait();
            end.wait();
            missed += u64::from(breaker.state() != State::Open);
        }
        assert_eq!(missed, 0, "of {ROUNDS}");
    });
}

#[test]
fn a_rate_that_every_interleaving_reaches_trips() {
    // The seventh failure of seven or eight calls.
    let calls = FailureRate::over_calls(7).threshold(1.0).minimum_calls(7);
    trips_in_every_round([true, true], |builder| builder.failure_rate(calls));
    let time = FailureRate::over_time(1_000 * MS)
        .slices(10)
        .threshold(1.0)
        .minimum_calls(7);
    trips_in_every_round([true, true], |builder| builder.failure_rate(time));
    // The eighth call, which is a success if it so happens.
    let calls = FailureRate::over_calls(8).threshold(0.5).minimum_calls(8);
    trips_in_every_round([true, false], |builder| builder.failure_rate(calls));
    let time = FailureRate::over_time(1_000 * MS)
        .slices(10)
        .threshold(0.5)
        .minimum_calls(8);
    trips_in_every_round([true, false], |builder| builder.failure_rate(time));
}
