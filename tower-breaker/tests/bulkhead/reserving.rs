//! Over inner services that reserve something for a caller who asks whether they are ready, such as tower's
//! `ConcurrencyLimit` and `Buffer`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::{JoinSet, yield_now},
    time::{sleep, timeout},
};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_breaker::{BoxError, Bulkhead, BulkheadLayer, Reason, Refused};
use tower_layer::Layer;

use crate::support::{load, queueing, refusing};

const HOUR: Duration = Duration::from_secs(3600);
const CALL: Duration = Duration::from_millis(100);

async fn all_finish(bulkhead: &Bulkhead, mut callers: JoinSet<()>) {
    while let Some(caller) = timeout(HOUR, callers.join_next())
        .await
        .unwrap_or_else(|_| panic!("callers hang: {:?}", bulkhead.snapshot()))
    {
        caller.unwrap();
    }
    assert_eq!(load(bulkhead), (0, 0));
}

async fn slow((): ()) -> Result<(), BoxError> {
    sleep(CALL).await;
    Ok(())
}

// One caller is pending in the inner service's queue when the bulkhead becomes full. It then queues in the bulkhead, behind
// a call that needs what comes to its place in the inner queue.
#[tokio::test(start_paused = true)]
async fn a_call_does_not_queue_while_it_has_a_place_in_the_inner_queue() {
    let bulkhead = queueing(2, 10);
    let service = ServiceBuilder::new()
        .layer(BulkheadLayer::new(bulkhead.clone()).waiting())
        .concurrency_limit(1)
        .service(service_fn(slow));
    let mut callers = JoinSet::new();
    for after in [0, 1, 3] {
        let mut service = service.clone();
        callers.spawn(async move {
            sleep(Duration::from_millis(after)).await;
            service.ready().await.unwrap().call(()).await.unwrap();
        });
    }
    let shared = bulkhead.clone();
    callers.spawn(async move {
        sleep(Duration::from_millis(2)).await;
        let _permit = shared.acquire().await.unwrap();
        sleep(CALL * 2).await;
    });
    all_finish(&bulkhead, callers).await;
}

#[tokio::test(start_paused = true)]
async fn callers_that_ask_for_readiness_at_the_same_moment_do_not_block_each_other() {
    let bulkhead = queueing(1, 10);
    let service = ServiceBuilder::new()
        .layer(BulkheadLayer::new(bulkhead.clone()).waiting())
        .concurrency_limit(1)
        .service(service_fn(slow));
    let mut callers = JoinSet::new();
    for after in [0, 0, 50] {
        let mut service = service.clone();
        callers.spawn(async move {
            sleep(Duration::from_millis(after)).await;
            let ready = service.ready().await.unwrap();
            yield_now().await; // Here the others poll.
            ready.call(()).await.unwrap();
        });
    }
    all_finish(&bulkhead, callers).await;
}

#[tokio::test(start_paused = true)]
async fn callers_over_a_buffer_do_not_block_each_other() {
    let bulkhead = queueing(2, 10);
    let service = ServiceBuilder::new()
        .layer(BulkheadLayer::new(bulkhead.clone()).waiting())
        .buffer(1)
        .concurrency_limit(1)
        .service(service_fn(slow));
    let mut callers = JoinSet::new();
    for after in [0, 0, 0, 1, 2, 3, 50, 101] {
        let mut service = service.clone();
        callers.spawn(async move {
            sleep(Duration::from_millis(after)).await;
            let ready = service.ready().await.unwrap();
            yield_now().await;
            ready.call(()).await.unwrap();
        });
    }
    all_finish(&bulkhead, callers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_on_several_threads_do_not_block_each_other() {
    for limit in [1, 3] {
        let bulkhead = queueing(limit, 100);
        let service = ServiceBuilder::new()
            .layer(BulkheadLayer::new(bulkhead.clone()).waiting())
            .concurrency_limit(limit)
            .service(service_fn(async |(): ()| {
                yield_now().await;
                Ok::<_, BoxError>(())
            }));
        let mut callers = JoinSet::new();
        for _ in 0..12 {
            let mut service = service.clone();
            callers.spawn(async move {
                for _ in 0..2_000 {
                    service.ready().await.unwrap().call(()).await.unwrap();
                }
            });
        }
        timeout(Duration::from_secs(30), all_finish(&bulkhead, callers))
            .await
            .unwrap_or_else(|_| panic!("limit {limit} hangs: {:?}", bulkhead.snapshot()));
    }
}

type Limited = ConcurrencyLimit<Answer>;

#[derive(Clone)]
struct Answer;

impl Service<u32> for Answer {
    type Response = u32;
    type Error = BoxError;
    type Future = std::future::Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        std::future::ready(Ok(request))
    }
}

fn limited() -> (Limited, Arc<Semaphore>) {
    let capacity = Arc::new(Semaphore::new(1));
    let inner = ConcurrencyLimit::with_semaphore(Answer, capacity.clone());
    (inner, capacity)
}

// The service is asked while a permit is free and the inner capacity is taken or not, and refused when the bulkhead is full.
async fn refused_after_asking<S>(
    bulkhead: &Bulkhead,
    service: &mut S,
    capacity: &Arc<Semaphore>,
    pending: bool,
) where
    S: Service<u32, Response = u32, Error = BoxError>,
{
    let taken = pending.then(|| capacity.clone().try_acquire_owned().unwrap());
    let mut caller = task::spawn(());
    let mut poll_ready = |service: &mut S| caller.enter(|cx, _| service.poll_ready(cx));
    assert_eq!(poll_ready(service).is_pending(), pending);
    let permit = bulkhead.try_acquire().unwrap();
    assert_ready_ok!(poll_ready(service));
    let error = service.call(0).await.unwrap_err();
    assert_eq!(
        Refused::find(&*error).map(Refused::reason),
        Some(Reason::BulkheadFull)
    );
    drop((permit, taken));
}

#[tokio::test]
async fn a_refusing_service_keeps_what_it_was_given_until_it_is_called_or_dropped() {
    for pending in [false, true] {
        for call in [false, true] {
            let bulkhead = refusing(1);
            let (inner, capacity) = limited();
            let mut service = BulkheadLayer::new(bulkhead.clone()).layer(inner);
            refused_after_asking(&bulkhead, &mut service, &capacity, pending).await;
            assert_eq!(capacity.available_permits(), 0);
            if call {
                assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
            } else {
                drop(service);
            }
            assert_eq!(capacity.available_permits(), 1);
        }
    }
}

#[tokio::test]
async fn a_waiting_service_that_is_refused_keeps_nothing() {
    for pending in [false, true] {
        let bulkhead = refusing(1);
        let (inner, capacity) = limited();
        let mut service = BulkheadLayer::new(bulkhead.clone()).waiting().layer(inner);
        refused_after_asking(&bulkhead, &mut service, &capacity, pending).await;
        assert_eq!(capacity.available_permits(), 1);
    }
}

#[tokio::test]
async fn a_clone_that_fails_to_get_ready_is_dropped_before_the_permit() {
    struct Fails {
        bulkhead: Bulkhead,
        load_at_drop: Arc<AtomicUsize>,
        is_clone: bool,
    }
    impl Clone for Fails {
        fn clone(&self) -> Self {
            Self {
                bulkhead: self.bulkhead.clone(),
                load_at_drop: self.load_at_drop.clone(),
                is_clone: true,
            }
        }
    }
    impl Drop for Fails {
        fn drop(&mut self) {
            if self.is_clone {
                let in_flight = self.bulkhead.snapshot().in_flight;
                self.load_at_drop.store(in_flight, Ordering::Relaxed);
            }
        }
    }
    impl Service<()> for Fails {
        type Response = ();
        type Error = BoxError;
        type Future = std::future::Ready<Result<(), BoxError>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Err("down".into()))
        }
        fn call(&mut self, (): ()) -> Self::Future {
            panic!("called without having been ready")
        }
    }

    let bulkhead = queueing(1, 1);
    let load_at_drop = Arc::new(AtomicUsize::new(usize::MAX));
    let mut service = BulkheadLayer::new(bulkhead.clone()).waiting().layer(Fails {
        bulkhead: bulkhead.clone(),
        load_at_drop: load_at_drop.clone(),
        is_clone: false,
    });
    let busy = bulkhead.try_acquire().unwrap();
    service.ready().await.unwrap();
    let mut call = task::spawn(service.call(()));
    assert_pending!(call.poll());
    drop(busy);
    assert_eq!(call.await.unwrap_err().to_string(), "down");
    assert_eq!(load_at_drop.load(Ordering::Relaxed), 1);
    assert_eq!(load(&bulkhead), (0, 0));
}
