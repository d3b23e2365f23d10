//! Defects proven in other bulkheads, each as a test that would catch it here.

use std::time::Duration;

use tokio::time::Instant;
use tokio_test::{assert_pending, task};
use tower::{Service, ServiceExt, limit::ConcurrencyLimit, load_shed::LoadShed, service_fn};
use tower_breaker::{BoxError, Bulkhead, BulkheadLayer, Reason};
use tower_layer::Layer;

use crate::support::{guarded, load, queueing, reason, refusing};

#[tokio::test(start_paused = true)]
async fn reject_when_full_takes_no_timer_and_does_not_call_it_a_timeout() {
    let bulkhead = refusing(1);
    let (mut service, _handle) = guarded(&bulkhead);
    let _permit = bulkhead.try_acquire().unwrap();
    let before = Instant::now();
    let mut call = task::spawn(service.ready().await.unwrap().call("hello"));
    // Decided at the first poll: nothing has to happen in between, be it only a millisecond.
    let std::task::Poll::Ready(result) = call.poll() else {
        panic!("a refusal waits")
    };
    assert_eq!(reason(result), Reason::BulkheadFull);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[test]
fn the_queue_is_bounded_and_off_by_default() {
    let bulkhead = refusing(1);
    assert_eq!(bulkhead.snapshot().max_queue, 0);
    let _permit = bulkhead.try_acquire().unwrap();
    let refused = (0..20_000)
        .filter(|_| {
            matches!(
                task::spawn(bulkhead.acquire()).poll(),
                std::task::Poll::Ready(Err(_))
            )
        })
        .count();
    assert_eq!(refused, 20_000);

    let bulkhead = queueing(1, 10);
    let _permit = bulkhead.try_acquire().unwrap();
    let _waiters: Vec<_> = (0..20_000).map(|_| bulkhead.acquire()).collect();
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.queued, snapshot.refused.queue_full), (10, 19_990));
}

#[tokio::test]
async fn a_queued_call_does_not_hold_inner_capacity() {
    let answer = service_fn(async |request: u32| Ok::<_, BoxError>(request));
    let inner = ConcurrencyLimit::new(answer, 1);
    let bulkhead = queueing(1, 5);
    let service = BulkheadLayer::new(bulkhead.clone())
        .waiting()
        .layer(inner.clone());
    let _permit = bulkhead.try_acquire().unwrap();
    let mut queued: Vec<_> = (0..5)
        .map(|request| task::spawn(service.clone().oneshot(request)))
        .collect();
    for call in &mut queued {
        assert_pending!(call.poll());
    }
    // Somebody else who uses the same inner service is not in their way.
    let mut others = task::spawn(inner.oneshot(7));
    assert!(matches!(others.poll(), std::task::Poll::Ready(Ok(7))));
}

#[tokio::test]
async fn services_of_one_layer_do_not_have_private_limits() {
    let layer = BulkheadLayer::new(refusing(1)).typed();
    let pending = || service_fn(|(): ()| std::future::pending::<Result<(), BoxError>>());
    let mut first = layer.layer(pending());
    let mut second = layer.layer(pending());
    let _running = first.ready().await.unwrap().call(());
    assert_eq!(
        reason(second.ready().await.unwrap().call(()).await),
        Reason::BulkheadFull
    );
}

#[tokio::test]
async fn a_parked_clone_under_load_shed_keeps_no_permit_from_others() {
    let bulkhead = refusing(1);
    let pending = service_fn(|(): ()| std::future::pending::<Result<(), BoxError>>());
    let mut parked = LoadShed::new(BulkheadLayer::new(bulkhead.clone()).layer(pending));
    let mut active = parked.clone();
    parked.ready().await.unwrap();
    let mut call = task::spawn(active.ready().await.unwrap().call(()));
    assert_pending!(call.poll());
    assert_eq!(load(&bulkhead), (1, 0));
}

#[test]
fn an_idle_ready_clone_holds_no_permit() {
    let bulkhead = refusing(1);
    let (mut service, _handle) = guarded(&bulkhead);
    let mut ready = task::spawn(());
    ready.enter(|cx, _| assert!(Service::<&str>::poll_ready(&mut service, cx).is_ready()));
    assert_eq!(load(&bulkhead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gave_up_does_not_swallow_a_later_permit() {
    let wait = Duration::from_millis(50);
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(1)
        .max_queue(1)
        .max_wait(wait)
        .build()
        .unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    assert_eq!(
        bulkhead.acquire().await.unwrap_err().reason(),
        Reason::WaitedTooLong
    );
    drop(permit);
    assert_eq!(load(&bulkhead), (0, 0));
    assert!(bulkhead.try_acquire().is_ok());
}

#[test]
fn a_refused_caller_leaves_no_waiter_behind() {
    let bulkhead = refusing(2);
    let (first, second) = (
        bulkhead.try_acquire().unwrap(),
        bulkhead.try_acquire().unwrap(),
    );
    assert!(bulkhead.try_acquire().is_err());
    drop(first);
    assert_eq!(load(&bulkhead), (1, 0));
    drop(second);
    assert_eq!(load(&bulkhead), (0, 0));
}
