//! The client-side throttle: what it counts, how much it refuses, and to what rate it converges.

#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio_test::{assert_pending, assert_ready, assert_ready_err, task};
use tower::{Service, ServiceExt, service_fn};
use tower_breaker::{
    BoxError, Error, Reason, Refused, Throttle, ThrottleLayer, classify::Verdict,
    throttle::ThrottleBuilder,
};
use tower_layer::Layer;

/// A clock that the test turns.
#[derive(Clone)]
struct Time {
    start: Instant,
    millis: Arc<AtomicU64>,
}

impl Time {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            millis: Arc::default(),
        }
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let Self { start, millis } = self.clone();
        move || start + Duration::from_millis(millis.load(Ordering::Relaxed))
    }

    fn advance(&self, by: Duration) {
        let by = by.as_millis() as u64;
        self.millis.fetch_add(by, Ordering::Relaxed);
    }
}

fn throttle() -> ThrottleBuilder {
    Throttle::builder("search").minimum_requests(0).seed(42)
}

/// So many calls at once, of which so many are accepted.
fn feed(throttle: &Throttle, requests: usize, accepts: usize) {
    let permits: Vec<_> = (0..requests)
        .map(|_| throttle.try_acquire().unwrap())
        .collect();
    for (index, permit) in permits.into_iter().enumerate() {
        if index < accepts {
            permit.success();
        } else {
            permit.failure();
        }
    }
}

#[test]
fn every_option_out_of_range_is_named_at_once() {
    let err = Throttle::builder("")
        .k(0.99)
        .window(Duration::from_millis(999))
        .max_probability(0.0)
        .minimum_requests(1_000_001)
        .build()
        .unwrap_err();
    let options: Vec<_> = err.problems().iter().map(|found| found.option()).collect();
    assert_eq!(
        options,
        ["name", "k", "window", "max_probability", "minimum_requests"]
    );
    for wrong in [
        throttle().k(f64::NAN),
        throttle().k(f64::INFINITY),
        throttle().max_probability(f64::NAN),
        throttle().max_probability(1.01),
        throttle().window(Duration::from_secs(3601)),
    ] {
        let named = format!("{wrong:?}");
        assert_eq!(wrong.build().unwrap_err().problems().len(), 1, "{named}");
    }
    throttle()
        .k(1.0)
        .window(Duration::from_secs(1))
        .max_probability(1.0)
        .minimum_requests(1_000_000)
        .build()
        .unwrap();
}

#[test]
fn calls_under_way_say_nothing_yet() {
    let throttle = throttle().build().unwrap();
    let permits: Vec<_> = (0..1_000)
        .map(|_| throttle.try_acquire().unwrap())
        .collect();
    let snapshot = throttle.snapshot();
    assert_eq!((snapshot.requests, snapshot.probability), (0, 0.0));
    assert_eq!(snapshot.in_flight(), 1_000);
    for permit in permits {
        permit.failure();
    }
    let snapshot = throttle.snapshot();
    assert_eq!((snapshot.requests, snapshot.accepts), (1_000, 0));
    assert_eq!((snapshot.in_flight(), snapshot.failed), (0, 1_000));
}

#[test]
fn the_share_refused_is_the_probability() {
    for (accepts, seed) in [(40, 1), (25, 2), (10, 3)] {
        let time = Time::new();
        let throttle = Throttle::builder("search")
            .minimum_requests(0)
            .seed(seed)
            .clock(time.clock())
            .build()
            .unwrap();
        // So many that the few thousand refusals to come do not change the ratio by much.
        feed(&throttle, 200_000, 2_000 * accepts);
        let before = throttle.snapshot().probability;
        let tries = 10_000;
        let refused = (0..tries)
            .filter(|_| match throttle.try_acquire() {
                Ok(permit) => {
                    permit.ignore();
                    false
                }
                Err(refused) => {
                    assert_eq!(refused.reason(), Reason::Throttled);
                    assert_eq!((refused.retry_after(), refused.state()), (None, None));
                    true
                }
            })
            .count();
        let after = throttle.snapshot().probability;
        let deviation = (f64::from(tries) * before * (1.0 - before)).sqrt();
        let (least, most) = (f64::from(tries) * before, f64::from(tries) * after);
        let range = least - 4.0 * deviation..=most + 4.0 * deviation;
        assert!(
            range.contains(&(refused as f64)),
            "{refused} of {tries}, expected {range:?}"
        );
    }
}

#[test]
fn a_refusal_is_a_request() {
    let throttle = throttle().max_probability(1.0).build().unwrap();
    feed(&throttle, 1_000, 0);
    let mut refused = 0;
    for _ in 0..100 {
        match throttle.try_acquire() {
            Ok(permit) => permit.ignore(),
            Err(_) => refused += 1,
        }
    }
    let snapshot = throttle.snapshot();
    assert!(refused > 90, "{refused}");
    assert_eq!(u64::from(snapshot.requests), 1_000 + refused);
    assert_eq!(snapshot.refused, refused);
    assert_eq!(snapshot.admitted, 1_100 - refused);
}

#[test]
fn nothing_is_refused_below_the_minimum() {
    let throttle = Throttle::builder("search").seed(1).build().unwrap();
    for _ in 0..20 {
        throttle.try_acquire().unwrap().failure();
    }
    let snapshot = throttle.snapshot();
    assert!((snapshot.probability - 20.0 / 21.0).abs() < 0.01);
    let refused = (0..1_000)
        .filter(|_| {
            throttle
                .try_acquire()
                .map(|permit| permit.ignore())
                .is_err()
        })
        .count();
    // At 0.95, the most by default.
    assert!((900..=975).contains(&refused), "{refused}");
}

/// Offers 1,000 calls a second to a backend that accepts 100 of them, and gives how many were sent a second in the end.
fn sent_per_second(builder: ThrottleBuilder) -> f64 {
    let time = Time::new();
    let throttle = builder.clock(time.clock()).build().unwrap();
    let window = throttle.snapshot().window;
    let seconds = window.as_secs() * 5;
    let mut sent = 0;
    for second in 0..seconds {
        // The backend takes one call in each hundredth of the second, the first that comes.
        for _ in 0..100 {
            let mut accepts = true;
            for _ in 0..10 {
                if let Ok(permit) = throttle.try_acquire() {
                    sent += u32::from(second >= window.as_secs() * 2);
                    if accepts {
                        permit.success();
                    } else {
                        permit.failure();
                    }
                    accepts = false;
                }
            }
            time.advance(Duration::from_millis(10));
        }
    }
    f64::from(sent) / (window.as_secs() * 3) as f64
}

#[test]
fn what_is_sent_converges_to_k_times_what_is_accepted() {
    // With k * X = 200 sends among 1,000 offers, one in five is sent, so among ten in a hundredth some are with a chance of
    // 1 - 0.8^10 = 0.89: the backend has work in that share of its hundredths, and X is 89. At the fixed point
    // sent = k * accepted, so sent / 10 = k * (1 - (1 - sent / 1,000)^10) * 10, solved for each k.
    for k in [1.5, 2.0, 3.0] {
        let mut expected: f64 = 500.0;
        for _ in 0..1_000 {
            let share = expected / 1_000.0;
            expected = k * 100.0 * (1.0 - (1.0 - share).powi(10));
        }
        let sent = sent_per_second(throttle().k(k).window(Duration::from_secs(30)));
        assert!(
            (sent - expected).abs() < 0.03 * expected,
            "k = {k}: sent {sent} a second, expected {expected}"
        );
    }
}

#[test]
fn the_most_probability_keeps_some_calls_going_and_recovery_takes_two_or_three_windows() {
    let time = Time::new();
    let throttle = throttle()
        .window(Duration::from_secs(10))
        .clock(time.clock())
        .build()
        .unwrap();
    let second = |is_up: bool| {
        let mut sent = 0;
        for _ in 0..100 {
            if let Ok(permit) = throttle.try_acquire() {
                sent += 1;
                if is_up {
                    permit.success();
                } else {
                    permit.failure();
                }
            }
            time.advance(Duration::from_millis(10));
        }
        sent
    };
    for _ in 0..20 {
        assert_eq!(second(true), 100);
    }
    for _ in 0..20 {
        second(false);
    }
    let during: u32 = (0..20).map(|_| second(false)).sum();
    // 2,000 offered, one in twenty sent.
    assert!((60..=140).contains(&during), "{during}");
    // From one in twenty to all.
    let seconds = (1..=60).find(|_| second(true) == 100);
    println!("all is sent again after {seconds:?} s");
    assert!(seconds.is_some_and(|seconds| (5..=30).contains(&seconds)));
    assert_eq!(throttle.snapshot().probability, 0.0);
}

#[test]
fn the_window_slides() {
    let time = Time::new();
    let throttle = throttle()
        .window(Duration::from_secs(16))
        .clock(time.clock())
        .build()
        .unwrap();
    feed(&throttle, 10, 0);
    time.advance(Duration::from_secs(8));
    // Only the clock of an admission is read.
    if let Ok(permit) = throttle.try_acquire() {
        permit.ignore();
    }
    time.advance(Duration::from_secs(7));
    assert!(throttle.snapshot().requests >= 10);
    time.advance(Duration::from_secs(1));
    assert!(throttle.snapshot().requests <= 1);
    time.advance(Duration::from_secs(60 * 60 * 24 * 400));
    assert_eq!(throttle.snapshot().requests, 0);
}

#[test]
fn calls_that_take_longer_than_the_window_are_counted_all_the_same() {
    let time = Time::new();
    let throttle = throttle()
        .window(Duration::from_secs(1))
        .clock(time.clock())
        .build()
        .unwrap();
    let mut running = std::collections::VecDeque::new();
    for tenth in 0..600 {
        if let Ok(permit) = throttle.try_acquire() {
            running.push_back((tenth, permit));
        }
        // Each takes five seconds, and fails.
        while running
            .front()
            .is_some_and(|(began, _)| began + 50 <= tenth)
        {
            running.pop_front().unwrap().1.failure();
        }
        if tenth > 50 {
            assert!(throttle.snapshot().requests > 0, "{tenth}");
        }
        time.advance(Duration::from_millis(100));
    }
    assert!(throttle.snapshot().refused > 0);
}

#[test]
fn given_up_calls_count_only_if_asked_to_and_panics_always() {
    let silent = throttle().build().unwrap();
    drop(silent.try_acquire().unwrap());
    assert_eq!(
        (silent.snapshot().requests, silent.snapshot().abandoned),
        (0, 1)
    );

    let counting = throttle().count_abandoned().build().unwrap();
    drop(counting.try_acquire().unwrap());
    let snapshot = counting.snapshot();
    assert_eq!(
        (snapshot.requests, snapshot.accepts, snapshot.abandoned),
        (1, 0, 1)
    );

    let panicking = silent.clone();
    catch_unwind(AssertUnwindSafe(|| {
        let _permit = panicking.try_acquire().unwrap();
        panic!("inside");
    }))
    .unwrap_err();
    assert_eq!(
        (silent.snapshot().requests, silent.snapshot().failed),
        (1, 1)
    );
}

#[test]
fn a_permit_that_is_to_be_ignored_is_no_request_and_not_abandoned() {
    let throttle = throttle().count_abandoned().build().unwrap();
    assert_eq!(throttle.name(), "search");
    throttle.try_acquire().unwrap().ignore();
    let snapshot = throttle.snapshot();
    assert_eq!((snapshot.ignored, snapshot.abandoned), (1, 0));
    assert_eq!(snapshot.requests, 0);
}

#[test]
fn the_layer_counts_what_its_classifier_says() {
    let throttle = throttle().build().unwrap();
    let mut service = ThrottleLayer::new(throttle.clone())
        .classify(|result: Result<&u32, &Infallible>| match result {
            Ok(0) => Verdict::Ignore,
            Ok(1) => Verdict::Success,
            Ok(_) => Verdict::Failure,
            Err(never) => match *never {},
        })
        .typed()
        .layer(service_fn(|request: u32| ready(Ok(request))));
    for (request, counts) in [(0, (0, 0)), (1, (1, 1)), (2, (2, 1))] {
        assert!(assert_ready!(task::spawn(service.call(request)).poll()).is_ok());
        let snapshot = throttle.snapshot();
        assert_eq!((snapshot.requests, snapshot.accepts), counts);
    }
    let snapshot = throttle.snapshot();
    let ends = (snapshot.succeeded, snapshot.failed, snapshot.ignored);
    assert_eq!(ends, (1, 1, 1));
}

#[test]
fn a_refusal_of_a_guard_further_in_is_not_counted_by_default() {
    let throttle = throttle().build().unwrap();
    let inner = Throttle::builder("inner")
        .minimum_requests(0)
        .max_probability(1.0)
        .seed(1)
        .build()
        .unwrap();
    feed(&inner, 100_000, 0);
    let mut service = ThrottleLayer::new(throttle.clone())
        .layer(ThrottleLayer::new(inner).layer(service_fn(|_: ()| ready(Ok::<_, BoxError>(())))));
    let err = assert_ready_err!(task::spawn(service.call(())).poll());
    assert_eq!(Refused::find(&*err).unwrap().name(), "inner");
    assert_eq!(
        (throttle.snapshot().requests, throttle.snapshot().ignored),
        (0, 1)
    );
}

#[test]
fn a_dropped_future_and_a_panic_are_accounted_for() {
    let throttle = throttle().build().unwrap();
    let mut hangs = ThrottleLayer::new(throttle.clone())
        .layer(service_fn(|_: ()| pending::<Result<(), BoxError>>()));
    let mut call = task::spawn(hangs.call(()));
    assert_pending!(call.poll());
    assert_eq!(throttle.snapshot().in_flight(), 1);
    drop(call);
    assert_eq!(
        (
            throttle.snapshot().in_flight(),
            throttle.snapshot().abandoned
        ),
        (0, 1)
    );

    let mut panics =
        ThrottleLayer::new(throttle.clone()).layer(service_fn(async |in_call: bool| {
            assert!(in_call, "in the future");
            Ok::<_, BoxError>(())
        }));
    let mut call = task::spawn(panics.call(false));
    catch_unwind(AssertUnwindSafe(|| call.poll())).unwrap_err();
    // The future is still there: it is not counted again when it goes.
    assert_eq!(throttle.snapshot().failed, 1);
    drop(call);
    let snapshot = throttle.snapshot();
    assert_eq!(
        (snapshot.failed, snapshot.abandoned, snapshot.requests),
        (1, 1, 1)
    );
}

/// Counts its calls, and is as ready as it is told to be.
#[derive(Debug, Clone)]
struct Inner {
    calls: Arc<AtomicU32>,
    readiness: fn() -> Poll<Result<(), BoxError>>,
}

impl Service<()> for Inner {
    type Response = ();
    type Error = BoxError;
    type Future = std::future::Ready<Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        (self.readiness)()
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.calls.fetch_add(1, Ordering::Relaxed);
        ready(Ok(()))
    }
}

#[tokio::test]
async fn a_refused_call_does_not_reach_the_service() {
    let throttle = throttle().max_probability(1.0).build().unwrap();
    feed(&throttle, 100_000, 0);
    let inner = Inner {
        calls: Arc::default(),
        readiness: || Poll::Ready(Ok(())),
    };
    let mut service = ThrottleLayer::new(throttle.clone())
        .typed()
        .layer(inner.clone());
    let refused = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused(refused) if refused.name() == "search"));
    assert_eq!(
        refused.to_string(),
        "`search` refused the call: too few of the last calls were accepted to make all of them"
    );
    assert_eq!(inner.calls.load(Ordering::Relaxed), 0);
}

#[test]
fn a_service_that_breaks_before_it_is_ready_is_counted_and_one_that_waits_is_not() {
    let throttle = throttle().build().unwrap();
    let poll_ready = |readiness| {
        let mut service = ThrottleLayer::new(throttle.clone()).layer(Inner {
            calls: Arc::default(),
            readiness,
        });
        task::spawn(()).enter(|cx, _| service.poll_ready(cx))
    };
    assert_pending!(poll_ready(|| Poll::Pending));
    assert!(assert_ready!(poll_ready(|| Poll::Ready(Ok(())))).is_ok());
    assert_eq!(throttle.snapshot().requests, 0);
    assert_ready_err!(poll_ready(|| Poll::Ready(Err("broken".into()))));
    assert_eq!(throttle.snapshot().requests, 1);
    catch_unwind(AssertUnwindSafe(|| poll_ready(|| panic!("not ready")))).unwrap_err();
    let snapshot = throttle.snapshot();
    assert_eq!((snapshot.requests, snapshot.accepts), (2, 0));
    // There never was a call.
    assert_eq!((snapshot.admitted, snapshot.in_flight()), (0, 0));
}

#[test]
fn a_dry_run_refuses_nothing_and_counts_what_it_would_have_refused() {
    let throttle = throttle().dry_run(true).build().unwrap();
    assert!(throttle.is_dry_run() && throttle.snapshot().dry_run);
    feed(&throttle, 1_000, 0);
    // Half-way: nothing was known at first, and a permit that is out counts for nothing yet.
    for _ in 0..1_000 {
        throttle.try_acquire().unwrap().failure();
    }
    let snapshot = throttle.snapshot();
    assert_eq!((snapshot.admitted, snapshot.refused), (2_000, 0));
    assert_eq!((snapshot.requests, snapshot.accepts), (2_000, 0));
    // 0.95 of a thousand, give or take four standard deviations.
    assert!((922..=978).contains(&snapshot.would_refuse), "{snapshot:?}");

    throttle.set_dry_run(false);
    let refused = (0..1_000)
        .filter(|_| throttle.try_acquire().is_err())
        .count();
    assert!((922..=978).contains(&refused), "{refused}");
    let after = throttle.snapshot();
    assert_eq!(after.would_refuse, snapshot.would_refuse);
    assert_eq!(after.refused, refused as u64);
}

#[test]
fn what_breaks_after_a_long_silence_counts_from_when_it_breaks() {
    let time = Time::new();
    let throttle = throttle().clock(time.clock()).build().unwrap();
    feed(&throttle, 1, 1);
    time.advance(Duration::from_secs(3_600));
    let mut service = ThrottleLayer::new(throttle.clone()).layer(Inner {
        calls: Arc::default(),
        readiness: || Poll::Ready(Err("broken".into())),
    });
    for _ in 0..10 {
        assert_ready_err!(task::spawn(()).enter(|cx, _| service.poll_ready(cx)));
    }
    assert_eq!(throttle.snapshot().requests, 10);
}

#[cfg(feature = "http")]
#[tokio::test]
async fn answered_as_a_response_it_is_a_503_without_retry_after() {
    let throttle = throttle().max_probability(1.0).build().unwrap();
    feed(&throttle, 100_000, 0);
    let service = ThrottleLayer::new(throttle)
        .respond()
        .layer(service_fn(|_: ()| {
            ready(Ok::<_, Infallible>(http::Response::new(String::new())))
        }));
    let response = service.oneshot(()).await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(!response.headers().contains_key("retry-after"));
    let refused = response.extensions().get::<Refused>().unwrap();
    assert_eq!(refused.reason().as_str(), "throttled");
    assert!(
        response
            .body()
            .contains("`search`: too few of the last calls")
    );
}

#[test]
fn threads_lose_no_call_and_make_none_up() {
    let throttle = throttle().build().unwrap();
    let start = Barrier::new(2);
    let calls = 100_000_u64;
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (throttle, start) = (&throttle, &start);
            scope.spawn(move || {
                start.wait();
                for call in 0..calls {
                    let Ok(permit) = throttle.try_acquire() else {
                        continue;
                    };
                    match (call + thread) % 10 {
                        0 => permit.success(),
                        1 => permit.ignore(),
                        2 => drop(permit),
                        _ => permit.failure(),
                    }
                }
            });
        }
    });
    let snapshot = throttle.snapshot();
    assert_eq!(snapshot.admitted + snapshot.refused, 2 * calls);
    assert_eq!(snapshot.in_flight(), 0);
    // Fewer than a slice can count, unless the machine stood still for minutes.
    let counted = snapshot.succeeded + snapshot.failed + snapshot.refused;
    assert_eq!(u64::from(snapshot.requests), counted);
    assert_eq!(u64::from(snapshot.accepts), snapshot.succeeded);
}
