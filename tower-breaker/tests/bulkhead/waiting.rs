use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_breaker::{BoxError, Bulkhead, BulkheadLayer, Reason};
use tower_layer::Layer;
use tower_test::mock;

use crate::support::{SECOND, load, queueing, reason, refusing};

fn limited(max_wait: Duration) -> Bulkhead {
    Bulkhead::builder("test")
        .max_concurrent(1)
        .max_queue(2)
        .max_wait(max_wait)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_queued_call_runs_when_its_turn_comes() {
    let bulkhead = queueing(1, 1);
    let (inner, mut handle) = mock::pair::<&str, &str>();
    let mut service = BulkheadLayer::new(bulkhead.clone())
        .waiting()
        .typed()
        .layer(inner);
    let permit = bulkhead.try_acquire().unwrap();

    let mut call = task::spawn(service.ready().await.unwrap().call("queued"));
    assert_pending!(call.poll());
    assert_eq!(
        reason(service.ready().await.unwrap().call("too many").await),
        Reason::QueueFull
    );
    assert_pending!(handle.poll_request());

    drop(permit);
    assert!(call.is_woken());
    assert_pending!(call.poll());
    assert_eq!(load(&bulkhead), (1, 0));
    let (request, send) = handle.next_request().await.unwrap();
    assert_eq!(request, "queued");
    send.send_response("done");
    assert_eq!(assert_ready_ok!(call.poll()), "done");
    assert_eq!(load(&bulkhead), (0, 0));
}

#[tokio::test]
async fn without_a_queue_a_waiting_layer_refuses_as_any_other() {
    let bulkhead = refusing(1);
    let service = BulkheadLayer::new(bulkhead.clone())
        .waiting()
        .typed()
        .layer(service_fn(async |request: u32| Ok::<_, BoxError>(request)));
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 1);
    let _permit = bulkhead.try_acquire().unwrap();
    assert_eq!(reason(service.oneshot(1).await), Reason::BulkheadFull);
}

#[tokio::test]
async fn without_a_queue_a_waiting_layer_admits_when_a_permit_came_free_after_readiness() {
    let answer = service_fn(async |request: u32| Ok::<_, BoxError>(request));
    let bulkhead = refusing(1);
    let mut waiting = BulkheadLayer::new(bulkhead.clone())
        .waiting()
        .typed()
        .layer(answer);
    let permit = bulkhead.try_acquire().unwrap();
    waiting.ready().await.unwrap();
    drop(permit);
    assert_eq!(waiting.call(1).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_exactly_its_limit() {
    let bulkhead = limited(SECOND);
    let _permit = bulkhead.try_acquire().unwrap();
    let started = Instant::now();
    let mut first = task::spawn(bulkhead.acquire());
    assert_pending!(first.poll());
    advance(SECOND / 2).await;
    // Measured from the moment the place was taken, not from the first poll.
    let mut second = task::spawn(bulkhead.acquire());
    advance(SECOND / 4).await;
    assert_pending!(second.poll());

    advance(SECOND / 4 - Duration::from_millis(1)).await;
    assert_pending!(first.poll());
    assert_eq!(first.await.unwrap_err().reason(), Reason::WaitedTooLong);
    assert_eq!(started.elapsed(), SECOND);
    assert_eq!(load(&bulkhead), (1, 1));
    assert_eq!(second.await.unwrap_err().reason(), Reason::WaitedTooLong);
    assert_eq!(started.elapsed(), SECOND * 3 / 2);

    let snapshot = bulkhead.snapshot();
    assert_eq!(
        (
            snapshot.queued,
            snapshot.refused.waited_too_long,
            snapshot.waits.granted
        ),
        (0, 2, 0)
    );
    assert_eq!(snapshot.waits.abandoned, 0);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_comes_in_time_counts_even_if_it_is_seen_late() {
    let bulkhead = limited(SECOND);
    let permit = bulkhead.try_acquire().unwrap();
    let mut waiter = task::spawn(bulkhead.acquire());
    assert_pending!(waiter.poll());
    advance(SECOND / 2).await;
    drop(permit);
    advance(SECOND * 2).await;
    drop(assert_ready_ok!(waiter.poll()));

    // A shorter one.
    let permit = bulkhead.try_acquire().unwrap();
    let mut waiter = task::spawn(bulkhead.acquire());
    advance(SECOND / 2).await;
    drop(permit);
    drop(assert_ready_ok!(waiter.poll()));

    let waits = bulkhead.snapshot().waits;
    assert_eq!(
        (waits.granted, waits.longest, waits.total),
        (2, SECOND * 5 / 2, SECOND * 3)
    );
}

#[test]
fn without_a_time_limit_a_waiter_needs_no_timer() {
    // No runtime here: making a timer would panic.
    let bulkhead = queueing(1, 1);
    let permit = bulkhead.try_acquire().unwrap();
    let mut waiter = task::spawn(bulkhead.acquire());
    assert_pending!(waiter.poll());
    drop(permit);
    drop(assert_ready_ok!(waiter.poll()));
}

#[test]
fn a_call_that_need_not_wait_needs_no_timer() {
    let bulkhead = limited(SECOND);
    let (inner, _handle) = mock::pair::<&str, &str>();
    let mut service = BulkheadLayer::new(bulkhead.clone()).waiting().layer(inner);
    let mut ready = task::spawn(());
    ready.enter(|cx, _| assert_ready_ok!(Service::<&str>::poll_ready(&mut service, cx)));
    let mut call = task::spawn(service.call("at once"));
    assert_pending!(call.poll());
    assert_eq!(load(&bulkhead), (1, 0));

    // Nor does one that is refused because the queue is full.
    let _queue = (bulkhead.acquire(), bulkhead.acquire());
    assert_eq!(
        assert_ready_err!(task::spawn(bulkhead.acquire()).poll()).reason(),
        Reason::QueueFull
    );
}

#[tokio::test]
async fn a_queued_call_holds_nothing_of_the_inner_service() {
    let bulkhead = queueing(1, 1);
    let capacity = Arc::new(tokio::sync::Semaphore::new(1));
    let answer = service_fn(async |request: &'static str| Ok::<_, BoxError>(request));
    let inner = ConcurrencyLimit::with_semaphore(answer, capacity.clone());
    let mut service = BulkheadLayer::new(bulkhead.clone()).waiting().layer(inner);

    // Found a permit free, waited for the inner capacity, then lost the permit to another call.
    service.ready().await.unwrap();
    assert_eq!(capacity.available_permits(), 0);
    let permit = bulkhead.try_acquire().unwrap();
    let mut call = task::spawn(service.call("queued"));
    assert_pending!(call.poll());
    assert_eq!(
        capacity.available_permits(),
        1,
        "given back when the call had to queue"
    );

    service.ready().await.unwrap();
    assert_eq!(
        capacity.available_permits(),
        1,
        "not asked for while the bulkhead is full"
    );
    service.call("refused").await.unwrap_err();
    assert_eq!(capacity.available_permits(), 1);

    drop(permit);
    assert_eq!(assert_ready_ok!(call.poll()), "queued");
    drop(call);
    assert_eq!((capacity.available_permits(), load(&bulkhead)), (1, (0, 0)));
}

#[tokio::test]
async fn a_service_whose_readiness_is_used_up_or_never_came_is_not_called() {
    let bulkhead = refusing(1);
    let (inner, _) = Strict::new(1);
    let mut service = BulkheadLayer::new(bulkhead.clone()).typed().layer(inner);
    let mut caller = task::spawn(());
    let mut poll_ready = |service: &mut _| caller.enter(|cx, _| Service::poll_ready(service, cx));

    // Not ready while a permit was free; then full; then free again.
    assert_pending!(poll_ready(&mut service));
    let permit = bulkhead.try_acquire().unwrap();
    assert_ready_ok!(poll_ready(&mut service));
    drop(permit);
    assert_eq!(reason(service.call(1).await), Reason::BulkheadFull);

    // Ready, and called; then full; then free again.
    assert_ready_ok!(poll_ready(&mut service));
    assert_eq!(service.call(2).await.unwrap(), 2);
    let permit = bulkhead.try_acquire().unwrap();
    assert_ready_ok!(poll_ready(&mut service));
    drop(permit);
    assert_eq!(reason(service.call(3).await), Reason::BulkheadFull);
}

/// Counts how it is used, and panics when it is called without having been ready, as a strict service may.
struct Strict {
    clones: Arc<AtomicUsize>,
    ready_after: usize,
    is_ready: bool,
}

impl Strict {
    fn new(ready_after: usize) -> (Self, Arc<AtomicUsize>) {
        let clones = Arc::new(AtomicUsize::new(0));
        (
            Self {
                clones: clones.clone(),
                ready_after,
                is_ready: false,
            },
            clones,
        )
    }
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Self {
            clones: self.clones.clone(),
            ready_after: self.ready_after,
            is_ready: false,
        }
    }
}

impl Service<u32> for Strict {
    type Response = u32;
    type Error = BoxError;
    type Future = std::future::Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.ready_after > 0 {
            self.ready_after -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        assert!(
            std::mem::take(&mut self.is_ready),
            "called without having been ready"
        );
        std::future::ready(Ok(request))
    }
}

#[tokio::test]
async fn while_permits_are_free_nothing_is_cloned() {
    let (inner, clones) = Strict::new(2);
    let mut service = BulkheadLayer::new(queueing(2, 1)).waiting().layer(inner);
    for request in 0..3 {
        assert_eq!(
            service.ready().await.unwrap().call(request).await.unwrap(),
            request
        );
    }
    assert_eq!(clones.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn every_way_through_the_queue_calls_only_a_ready_service() {
    let bulkhead = queueing(1, 2);
    let (inner, clones) = Strict::new(2);
    let mut service = BulkheadLayer::new(bulkhead.clone()).waiting().layer(inner);

    // Full when asked for readiness, and still full when called.
    let permit = bulkhead.try_acquire().unwrap();
    let mut queued = task::spawn(service.ready().await.unwrap().call(1));
    assert_pending!(queued.poll());
    drop(permit);
    // The permit is there; the clone is not ready yet, and keeps the permit while it gets ready.
    assert_pending!(queued.poll());
    assert_eq!(load(&bulkhead), (1, 0));
    assert_eq!(queued.await.unwrap(), 1);

    // Full when asked for readiness, free when called.
    let permit = bulkhead.try_acquire().unwrap();
    service.ready().await.unwrap();
    drop(permit);
    assert_eq!(service.call(2).await.unwrap(), 2);

    // Free when asked for readiness, full when called; then the same service once more.
    service.ready().await.unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    let queued = service.call(3);
    drop(permit);
    assert_eq!(queued.await.unwrap(), 3);
    assert_eq!(service.ready().await.unwrap().call(4).await.unwrap(), 4);

    assert_eq!(clones.load(Ordering::Relaxed), 4);
    assert_eq!(
        (load(&bulkhead), bulkhead.snapshot().refused.total()),
        ((0, 0), 0)
    );
}

#[tokio::test]
async fn an_inner_readiness_error_after_the_wait_ends_the_call_and_frees_the_permit() {
    let bulkhead = queueing(1, 1);
    let (inner, mut handle) = mock::pair::<&str, &str>();
    let mut service = BulkheadLayer::new(bulkhead.clone())
        .waiting()
        .typed()
        .layer(inner);
    let permit = bulkhead.try_acquire().unwrap();
    let mut call = task::spawn(service.ready().await.unwrap().call("queued"));
    assert_pending!(call.poll());
    handle.send_error("down");
    drop(permit);
    assert_eq!(assert_ready_err!(call.poll()).to_string(), "down");
    assert_eq!(load(&bulkhead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_outer_timeout_takes_the_call_out_of_the_queue() {
    let bulkhead = queueing(1, 1);
    let service = ServiceBuilder::new()
        .timeout(SECOND)
        .layer(BulkheadLayer::new(bulkhead.clone()).waiting())
        .service(service_fn(async |request: u32| Ok::<_, BoxError>(request)));
    let _permit = bulkhead.try_acquire().unwrap();
    assert!(
        service
            .oneshot(1)
            .await
            .unwrap_err()
            .is::<tower::timeout::error::Elapsed>()
    );
    assert_eq!(load(&bulkhead), (1, 0));
    assert_eq!(bulkhead.snapshot().waits.abandoned, 1);
}
