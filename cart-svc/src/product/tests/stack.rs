//! The whole stack, built from configuration texts as operators write them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use service_kit::{config, resilience::Policy};
use tokio::time::{Instant, advance, sleep};
use tower::{ServiceExt, service_fn};
use tower_breaker::{Reason, Refused, State};

use super::*;

/// Reads the text as a `[product]` table would be.
fn policy(text: &str) -> Policy {
    let sources = config::Sources {
        built_in: text,
        ..config::Sources::default()
    };
    config::load(&sources, |root| Policy::read_named(root, "product"))
        .unwrap()
        .value
}

/// What the fake client does with a call: `None` never answers.
type Script = fn(&Wanted) -> Option<Result<Option<Offer>, BoxError>>;

/// A client that follows the script, and how often it was called.
fn client(script: Script) -> (impl Products, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let client = service_fn(move |wanted: Wanted| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match script(&wanted) {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
    });
    (client, calls)
}

async fn ask(stack: &mut impl Products, number: i64) -> Result<Option<Offer>, BoxError> {
    stack.ready().await?.call(Wanted::new(id(number))).await
}

fn refusal(result: Result<Option<Offer>, BoxError>) -> Reason {
    let error = result.unwrap_err();
    Refused::find(error.as_ref()).expect("a refusal").reason()
}

#[tokio::test(start_paused = true)]
async fn with_nothing_configured_nothing_is_in_between() {
    let (bare, calls) = client(|_| None);
    let mut stack = stack(bare, &policy(""), None);
    let hour = Duration::from_secs(3_600);
    assert!(
        tokio::time::timeout(hour, ask(&mut stack, 1))
            .await
            .is_err(),
        "it waits for ever"
    );

    let (bare, failing_calls) = client(|_| Some(Err(outage())));
    let mut stack = super::stack(bare, &policy(""), None);
    for _ in 0..100 {
        assert!(ask(&mut stack, 1).await.unwrap_err().is::<ProductError>());
    }
    assert_eq!(
        (
            calls.load(Ordering::SeqCst),
            failing_calls.load(Ordering::SeqCst)
        ),
        (1, 100)
    );
}

#[tokio::test(start_paused = true)]
async fn the_time_out_counts_in_the_breaker() {
    let policy = policy("timeout = '500ms'\n[breaker]\nconsecutive_failures = 3\nopen_for = '60s'");
    let (hanging, calls) = client(|_| None);
    let mut stack = stack(hanging, &policy, None);

    let start = Instant::now();
    for _ in 0..3 {
        assert!(
            ask(&mut stack, 1)
                .await
                .unwrap_err()
                .is::<tower::timeout::error::Elapsed>()
        );
    }
    assert_eq!(start.elapsed(), Duration::from_millis(1_500));

    let start = Instant::now();
    assert_eq!(refusal(ask(&mut stack, 1).await), Reason::CircuitOpen);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn unknown_products_never_open_the_circuit() {
    let policy = policy("[breaker]\nconsecutive_failures = 2\nopen_for = '60s'");
    let (client, calls) = client(|_| Some(Ok(None)));
    let mut stack = stack(client, &policy, None);
    for _ in 0..20 {
        assert_eq!(ask(&mut stack, 1).await.unwrap(), None);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 20);
    assert_eq!(policy.breaker.unwrap().state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_product_between_failures_starts_the_count_anew() {
    let policy = policy("[breaker]\nconsecutive_failures = 2\nopen_for = '60s'");
    let (client, _) = client(|wanted| {
        Some(if wanted.id.get() == 404 {
            Ok(None)
        } else {
            Err(outage())
        })
    });
    let mut stack = stack(client, &policy, None);
    for number in [1, 404].repeat(5) {
        let _ = ask(&mut stack, number).await;
    }
    assert_eq!(policy.breaker.unwrap().state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_bulkhead_refuses_before_the_breaker_and_does_not_count_in_it() {
    let policy = policy(
        "[bulkhead]\nmax_concurrent = 2\nmax_queue = 0\n[breaker]\nconsecutive_failures = 1\nopen_for = '60s'",
    );
    let (hanging, calls) = client(|_| None);
    let stack = stack(hanging, &policy, None);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut call = tokio_test::task::spawn(stack.clone().oneshot(Wanted::new(id(1))));
        tokio_test::assert_pending!(call.poll());
        held.push(call);
    }
    for _ in 0..5 {
        assert_eq!(
            refusal(ask(&mut stack.clone(), 1).await),
            Reason::BulkheadFull
        );
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(policy.breaker.clone().unwrap().state(), State::Closed);
    drop(held);
    assert_eq!(policy.bulkhead.unwrap().snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_short_burst_waits_in_the_bulkheads_queue() {
    let policy = policy("[bulkhead]\nmax_concurrent = 1\nmax_queue = 2\nmax_wait = '100ms'");
    let slow = service_fn(|_: Wanted| async {
        sleep(Duration::from_millis(60)).await;
        Ok::<_, BoxError>(live(1))
    });
    let stack = stack(slow, &policy, None);
    let start = Instant::now();
    let ask = || stack.clone().oneshot(Wanted::new(id(1)));
    let (first, second, third, fourth) = tokio::join!(ask(), ask(), ask(), ask());
    assert!(first.is_ok() && second.is_ok(), "at once, and after 60 ms");
    assert_eq!(refusal(third), Reason::WaitedTooLong);
    assert_eq!(refusal(fourth), Reason::QueueFull);
    assert_eq!(start.elapsed(), Duration::from_millis(120));
}

#[tokio::test(start_paused = true)]
async fn the_fallback_covers_failures_time_outs_and_refusals() {
    let policy = policy(
        "timeout = '500ms'\n[bulkhead]\nmax_concurrent = 1\nmax_queue = 0\n[breaker]\nconsecutive_failures = 2\nopen_for = '60s'",
    );
    let cache = ProductCache::new(10, Duration::from_secs(3_600));
    cache.remember(product(1));
    let (hanging, calls) = client(|_| None);
    let stack = stack(hanging, &policy, Some(cache));

    // Failing, refused by the bulkhead meanwhile, and then by the open circuit.
    for _ in 0..2 {
        let (slow, refused) = tokio::join!(
            stack.clone().oneshot(Wanted::new(id(1))),
            stack.clone().oneshot(Wanted::new(id(1))),
        );
        assert!(slow.unwrap().unwrap().freshness.is_stale());
        assert!(refused.unwrap().unwrap().freshness.is_stale());
    }
    for _ in 0..10 {
        assert!(
            ask(&mut stack.clone(), 1)
                .await
                .unwrap()
                .unwrap()
                .freshness
                .is_stale()
        );
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(policy.breaker.unwrap().state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn with_the_shipped_numbers_five_failures_open_and_two_trials_close() {
    let settings = {
        let sources = config::Sources {
            built_in: include_str!("../../../config/fixed.toml"),
            ..config::Sources::default()
        };
        let mut read = None;
        // The common keys are service-kit's: reading only ours leaves them as unknown ones.
        let _ = config::load(&sources, |root| read = Some(crate::config::parse(root)));
        read.unwrap()
    };
    let policy = settings.product.policy;
    let circuit = policy.breaker.clone().unwrap();
    let fallback = settings.product.fallback.unwrap();
    let cache = ProductCache::new(fallback.capacity, fallback.max_age);
    cache.remember(product(1));

    static HEALTHY: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    let (client, calls) = client(|_| {
        Some(if HEALTHY.load(Ordering::SeqCst) {
            Ok(live(1))
        } else {
            Err(outage())
        })
    });
    let mut stack = stack(client, &policy, Some(cache));

    for failures in 1..=5 {
        assert_eq!(circuit.state(), State::Closed, "{failures}");
        ask(&mut stack, 1).await.unwrap();
    }
    assert_eq!(circuit.state(), State::Open);
    advance(Duration::from_millis(59_999)).await;
    ask(&mut stack, 1).await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 5);

    HEALTHY.store(true, Ordering::SeqCst);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(ask(&mut stack, 1).await.unwrap(), live(1));
    assert_eq!(circuit.state(), State::HalfOpen);
    assert_eq!(ask(&mut stack, 1).await.unwrap(), live(1));
    assert_eq!(circuit.state(), State::Closed);
}
