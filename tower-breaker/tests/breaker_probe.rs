//! Recovery by a check in the background: no user's call is the trial.

#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tower_breaker::{CircuitBreaker, Reason, Recovery, State, classify::Verdict};

const WAIT: Duration = Duration::from_secs(5);

fn breaker(successes: u32) -> CircuitBreaker {
    CircuitBreaker::builder("recommendations")
        .consecutive_failures(3)
        .open_for(WAIT)
        .success_threshold(successes)
        .recovery(Recovery::Probed)
        .build()
        .unwrap()
}

fn open(breaker: &CircuitBreaker) {
    while let Ok(permit) = breaker.try_acquire() {
        permit.failure();
    }
}

#[derive(Clone, Default)]
struct Backend {
    healthy: Arc<AtomicBool>,
    checks: Arc<AtomicU32>,
}

impl Backend {
    async fn check(&self) -> Verdict {
        self.checks.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
        if self.healthy.load(Ordering::Relaxed) {
            Verdict::Success
        } else {
            Verdict::Failure
        }
    }
}

fn spawn_probe(breaker: &CircuitBreaker, backend: &Backend) {
    let (breaker, backend) = (breaker.clone(), backend.clone());
    tokio::spawn(async move { breaker.probe_forever(|| backend.check()).await });
}

#[tokio::test(start_paused = true)]
async fn ordinary_calls_are_never_trials() {
    let breaker = breaker(1);
    open(&breaker);
    tokio::time::advance(2 * WAIT).await;
    let refused = breaker.try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::CircuitOpen);
    assert_eq!(refused.retry_after(), Some(Duration::ZERO));
    let trial = breaker.try_trial().unwrap();
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(
        breaker.try_acquire().unwrap_err().reason(),
        Reason::HalfOpenFull
    );
    assert!(breaker.try_trial().is_none(), "one trial at a time");
    trial.success();
    assert_eq!(breaker.state(), State::Closed);
    assert!(
        breaker.try_trial().is_none(),
        "a closed circuit needs no trial"
    );
}

#[tokio::test(start_paused = true)]
async fn one_check_per_open_period_until_the_backend_is_well() {
    let (breaker, backend) = (breaker(2), Backend::default());
    spawn_probe(&breaker, &backend);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(
        backend.checks.load(Ordering::Relaxed),
        0,
        "a closed circuit is not checked"
    );

    for _ in 0..2 {
        backend.healthy.store(false, Ordering::Relaxed);
        backend.checks.store(0, Ordering::Relaxed);
        open(&breaker);
        tokio::time::sleep(3 * WAIT + Duration::from_millis(500)).await;
        assert_eq!(backend.checks.load(Ordering::Relaxed), 3);
        assert_ne!(breaker.state(), State::Closed);
        backend.healthy.store(true, Ordering::Relaxed);
        tokio::time::sleep(WAIT).await;
        assert_eq!(
            backend.checks.load(Ordering::Relaxed),
            5,
            "two successes close it"
        );
        assert_eq!(breaker.state(), State::Closed);
    }
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.trials_failed, snapshot.trials_succeeded), (6, 4));
}

#[tokio::test(start_paused = true)]
async fn probing_follows_changes_by_hand() {
    let (breaker, backend) = (breaker(1), Backend::default());
    backend.healthy.store(true, Ordering::Relaxed);
    spawn_probe(&breaker, &backend);
    breaker.force_open();
    tokio::time::sleep(10 * WAIT).await;
    assert_eq!(
        backend.checks.load(Ordering::Relaxed),
        0,
        "held open: not even by a check"
    );
    breaker.reset();
    open(&breaker);
    tokio::time::sleep(Duration::from_secs(1)).await;
    breaker.reset();
    open(&breaker);
    tokio::time::sleep(WAIT - Duration::from_millis(1)).await;
    assert_eq!(
        backend.checks.load(Ordering::Relaxed),
        0,
        "the second wait counts"
    );
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(
        (backend.checks.load(Ordering::Relaxed), breaker.state()),
        (1, State::Closed)
    );
}

#[tokio::test(start_paused = true)]
async fn probe_until_closed_tells_how_many_checks_it_took() {
    let breaker = breaker(1);
    assert_eq!(
        breaker
            .probe_until_closed(|| async { Verdict::Success })
            .await,
        0
    );
    open(&breaker);
    let mut left = 3;
    let checks = breaker
        .probe_until_closed(|| {
            left -= 1;
            let verdict = match left {
                2 => Verdict::Failure,
                1 => Verdict::Ignore,
                _ => Verdict::Success,
            };
            async move { verdict }
        })
        .await;
    assert_eq!((checks, breaker.state()), (3, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_probe_dropped_in_the_middle_leaves_a_working_circuit() {
    let breaker = breaker(1);
    open(&breaker);
    let probe = breaker.probe_until_closed(std::future::pending);
    assert!(
        tokio::time::timeout(WAIT + Duration::from_secs(1), probe)
            .await
            .is_err()
    );
    assert_eq!(
        (breaker.state(), breaker.snapshot().abandoned),
        (State::Open, 1)
    );
    assert_eq!(
        breaker
            .probe_until_closed(|| async { Verdict::Success })
            .await,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_somebody_else_gives_back_undecided_is_noticed() {
    let breaker = breaker(1);
    open(&breaker);
    tokio::time::advance(WAIT).await;
    let others = breaker.try_trial().unwrap();
    let prober = breaker.clone();
    let probe = tokio::spawn(async move {
        prober
            .probe_until_closed(|| async { Verdict::Success })
            .await
    });
    tokio::time::sleep(WAIT / 2).await;
    others.ignore();
    assert_eq!(breaker.state(), State::HalfOpen);
    tokio::time::sleep(WAIT).await;
    assert_eq!((probe.await.unwrap(), breaker.state()), (1, State::Closed));
}

async fn sleeps<F: Future>(timer: &mut tokio_test::task::Spawn<F>) -> bool {
    assert!(timer.poll().is_pending());
    tokio::time::advance(100 * WAIT).await;
    !timer.is_woken()
}

#[tokio::test(start_paused = true)]
async fn the_timer_sleeps_while_there_is_no_open_wait_to_end() {
    let breaker = CircuitBreaker::builder("recommendations")
        .consecutive_failures(3)
        .open_for(WAIT)
        .recovery(Recovery::Timed)
        .build()
        .unwrap();
    let mut timer = tokio_test::task::spawn(breaker.half_open_on_time());
    assert!(sleeps(&mut timer).await, "closed");
    breaker.force_open();
    assert!(timer.is_woken());
    assert!(sleeps(&mut timer).await, "held open");
    breaker.reset();
    open(&breaker);
    assert!(timer.poll().is_pending());
    tokio::time::advance(WAIT - Duration::from_millis(1)).await;
    assert!(!timer.is_woken(), "open");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(timer.is_woken());
    assert!(timer.poll().is_pending());
    assert_eq!(breaker.state(), State::HalfOpen);
    assert!(sleeps(&mut timer).await, "half-open");
}

#[tokio::test(start_paused = true)]
async fn what_a_check_found_out_is_told_to_the_books() {
    let (breaker, backend) = (breaker(3), Backend::default());
    backend.healthy.store(true, Ordering::Relaxed);
    open(&breaker);
    assert_eq!(breaker.probe_until_closed(|| backend.check()).await, 3);
    // Known to be well from the end of the first check to that of the third, 10 ms each.
    let well = breaker.snapshot().open_while_healthy;
    assert!(
        Duration::from_millis(20) <= well && well < Duration::from_millis(30),
        "{well:?}"
    );
    // A check that found out nothing says nothing, and one that failed says that it is not.
    open(&breaker);
    let undecided = async || Verdict::Ignore;
    let probing = tokio::time::timeout(100 * WAIT, breaker.probe_until_closed(undecided)).await;
    assert!(probing.is_err());
    assert_eq!(breaker.snapshot().open_while_healthy, well);
}
