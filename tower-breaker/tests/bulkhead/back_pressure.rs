//! Back-pressure, alone and under tower's own middlewares.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{
    Service, ServiceBuilder, ServiceExt, balance::p2c::Balance, buffer::Buffer,
    discover::ServiceList, load::Constant, load_shed::LoadShed, service_fn,
};
use tower_breaker::{
    BoxError, Bulkhead, BulkheadLayer, Reason, Refused,
    bulkhead::{Partition, Priority},
};
use tower_layer::Layer;

use crate::support::{load, queueing, refusing};

// Answers at once.
#[derive(Clone)]
struct Echo;

impl Service<u32> for Echo {
    type Response = u32;
    type Error = Infallible;
    type Future = Ready<Result<u32, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        ready(Ok(request))
    }
}

type Guarded<S> = tower_breaker::bulkhead::BackPressureService<
    tower_breaker::bulkhead::BulkheadService<S, tower_breaker::mode::Boxed>,
>;

fn guarded<S>(bulkhead: &Bulkhead, inner: S) -> Guarded<S> {
    BulkheadLayer::new(bulkhead.clone())
        .back_pressure()
        .layer(inner)
}

fn echo(bulkhead: &Bulkhead) -> Guarded<Echo> {
    guarded(bulkhead, Echo)
}

fn poll<S: Service<u32> + Unpin>(caller: &mut task::Spawn<S>) -> Poll<Result<(), S::Error>> {
    caller.enter(|cx, mut service| service.poll_ready(cx))
}

#[test]
fn every_service_that_is_pending_is_woken_for_a_permit_whatever_the_first_does_with_it() {
    let bulkhead = refusing(1);
    let permit = bulkhead.try_acquire().unwrap();
    let mut callers: Vec<_> = (0..20).map(|_| task::spawn(echo(&bulkhead))).collect();
    for caller in &mut callers {
        assert_pending!(poll(caller));
    }
    // Dropped, parked, or merely ready: none of it keeps another from the permit.
    drop(callers.remove(0));
    drop(permit);
    assert!(callers.iter().all(task::Spawn::is_woken));
    let first = callers.remove(0);
    assert_ready_ok!(poll(&mut callers[0]));
    assert_ready_ok!(poll(&mut callers[1]));
    assert_eq!(load(&bulkhead), (0, 0));
    drop(first);
    // And a second time.
    let permit = bulkhead.try_acquire().unwrap();
    assert_pending!(poll(&mut callers[5]));
    drop(permit);
    assert!(callers[5].is_woken());
    assert_ready_ok!(poll(&mut callers[5]));
}

#[test]
fn a_growing_limit_and_a_dry_run_wake_too() {
    let bulkhead = refusing(1);
    let _permit = bulkhead.try_acquire().unwrap();
    let mut caller = task::spawn(echo(&bulkhead));
    assert_pending!(poll(&mut caller));
    bulkhead.resize(2).unwrap();
    assert!(caller.is_woken());
    assert_ready_ok!(poll(&mut caller));
    bulkhead.resize(1).unwrap();
    assert_pending!(poll(&mut caller));
    bulkhead.set_dry_run(true);
    assert!(caller.is_woken());
    assert_ready_ok!(poll(&mut caller));
}

#[test]
fn whoever_waits_in_the_queue_is_served_before_those_who_are_woken() {
    let bulkhead = queueing(1, 1);
    let permit = bulkhead.try_acquire().unwrap();
    let mut caller = task::spawn(echo(&bulkhead));
    assert_pending!(poll(&mut caller));
    let mut waiter = task::spawn(bulkhead.acquire());
    assert_pending!(waiter.poll());
    drop(permit);
    assert!(waiter.is_woken() && !caller.is_woken());
    drop(assert_ready_ok!(waiter.poll()));
    assert!(caller.is_woken());
}

#[tokio::test]
async fn who_lost_the_race_between_readiness_and_call_is_refused_or_waits_as_the_layer_is_set() {
    let bulkhead = refusing(1);
    let mut service = echo(&bulkhead);
    service.ready().await.unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    let error = service.call(1).await.unwrap_err();
    assert_eq!(
        Refused::find(&*error).unwrap().reason(),
        Reason::BulkheadFull
    );
    drop(permit);

    let bulkhead = queueing(1, 1);
    let mut service = BulkheadLayer::new(bulkhead.clone())
        .waiting()
        .back_pressure()
        .layer(Echo);
    service.ready().await.unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    let mut call = task::spawn(service.call(7));
    assert_pending!(call.poll());
    assert_eq!(load(&bulkhead), (1, 1));
    drop(permit);
    assert_eq!(assert_ready_ok!(call.poll()), 7);
}

#[test]
fn while_it_is_full_the_inner_service_is_not_asked() {
    struct MustNotBeAsked;
    impl Service<u32> for MustNotBeAsked {
        type Response = u32;
        type Error = Infallible;
        type Future = Ready<Result<u32, Infallible>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            panic!("asked")
        }
        fn call(&mut self, _: u32) -> Self::Future {
            panic!("called")
        }
    }
    let bulkhead = refusing(1);
    let _permit = bulkhead.try_acquire().unwrap();
    assert_pending!(poll(&mut task::spawn(guarded(&bulkhead, MustNotBeAsked))));
}

// The first of tower's two proven defects: with its `ConcurrencyLimit` the parked clone would keep the permit for itself.
#[tokio::test]
async fn under_load_shed_a_parked_clone_keeps_no_permit_and_a_full_bulkhead_sheds() {
    let bulkhead = refusing(1);
    let pending = service_fn(async |_: u32| std::future::pending::<Result<u32, BoxError>>().await);
    let mut parked = LoadShed::new(guarded(&bulkhead, pending));
    let mut active = parked.clone();
    let mut third = parked.clone();
    parked.ready().await.unwrap();
    let mut call = task::spawn(active.ready().await.unwrap().call(1));
    assert_pending!(call.poll());
    assert_eq!(load(&bulkhead), (1, 0));
    let error = third.ready().await.unwrap().call(2).await.unwrap_err();
    assert!(error.is::<tower::load_shed::error::Overloaded>());
    // The parked one had been told that it is ready: it is refused, and says by whom.
    let error = parked.call(3).await.unwrap_err();
    assert_eq!(
        Refused::find(&*error).unwrap().reason(),
        Reason::BulkheadFull
    );
    drop(call);
    assert_eq!(load(&bulkhead), (0, 0));
}

// The second: an idle ready clone.
#[tokio::test]
async fn an_idle_ready_clone_holds_no_permit_for_any_time() {
    let bulkhead = refusing(1);
    let mut idle = echo(&bulkhead);
    idle.ready().await.unwrap();
    assert_eq!(load(&bulkhead), (0, 0));
    let mut other = idle.clone();
    assert_eq!(other.ready().await.unwrap().call(5).await.unwrap(), 5);
    assert_eq!(idle.call(6).await.unwrap(), 6);
}

#[tokio::test(start_paused = true)]
async fn under_a_buffer_calls_wait_in_it_and_none_is_refused() {
    let bulkhead = refusing(2);
    let slow = service_fn(async |request: u32| {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok::<_, BoxError>(request)
    });
    let service = Buffer::new(guarded(&bulkhead, slow), 4);
    let mut calls = tokio::task::JoinSet::new();
    for request in 0..20 {
        calls.spawn(service.clone().oneshot(request));
    }
    let mut sum = 0;
    while let Some(answer) = tokio::time::timeout(Duration::from_secs(60), calls.join_next())
        .await
        .expect("a wake-up was lost")
    {
        sum += answer.unwrap().unwrap();
        assert!(bulkhead.snapshot().in_flight <= 2);
    }
    assert_eq!(sum, 190);
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.admitted, snapshot.refused.total()), (20, 0));
}

#[test]
fn a_balancer_goes_elsewhere_and_comes_back() {
    let bulkheads = [refusing(1), refusing(1)];
    let endpoints = bulkheads
        .iter()
        .map(|bulkhead| Constant::new(echo(bulkhead), 1))
        .collect::<Vec<_>>();
    let mut balance = task::spawn(Balance::<_, u32>::new(ServiceList::new(endpoints)));
    let call = |balance: &mut task::Spawn<Balance<_, u32>>| {
        assert_ready_ok!(poll(balance));
        let mut call = task::spawn(balance.enter(|_, mut service| service.call(1)));
        assert_ready_ok!(call.poll());
    };
    let busy = bulkheads[0].try_acquire().unwrap();
    for _ in 0..10 {
        call(&mut balance);
    }
    assert_eq!(bulkheads[1].snapshot().admitted, 10);

    let also_busy = bulkheads[1].try_acquire().unwrap();
    assert_pending!(poll(&mut balance));
    drop(busy);
    assert!(balance.is_woken());
    for _ in 0..10 {
        call(&mut balance);
    }
    assert_eq!(bulkheads[0].snapshot().admitted, 11);
    drop(also_busy);
    let total: u64 = bulkheads
        .iter()
        .map(|bulkhead| bulkhead.snapshot().refused.total())
        .sum();
    assert_eq!(total, 0);
}

#[test]
fn placed_calls_are_ready_while_any_place_has_a_permit() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(2)
        .partition(Partition::new("live").guaranteed(0.5))
        .build()
        .unwrap();
    let live = bulkhead.partition("live").unwrap();
    let place = live.place();
    let service = ServiceBuilder::new()
        .layer(
            BulkheadLayer::new(bulkhead.clone())
                .place_by(move |_: &u32| place)
                .back_pressure(),
        )
        .service(Echo);
    let mut caller = task::spawn(service);
    let pool = bulkhead.try_acquire().unwrap();
    assert_ready_ok!(poll(&mut caller));
    let guaranteed = live.try_acquire().unwrap();
    assert_pending!(poll(&mut caller));
    // It comes back to its partition only.
    drop(guaranteed);
    assert!(caller.is_woken());
    assert_ready_ok!(poll(&mut caller));
    let mut call = task::spawn(caller.enter(|_, mut service| service.call(3)));
    assert_eq!(assert_ready_ok!(call.poll()), 3);
    assert_eq!(bulkhead.snapshot().partitions[0].admitted, 2);
    drop(pool);
    let _ = assert_ready!(poll(&mut caller));
    let full = [bulkhead.try_acquire().unwrap(), live.try_acquire().unwrap()];
    let mut late = task::spawn(caller.enter(|_, mut service| service.call(3)));
    assert_ready_err!(late.poll());
    drop(full);
}

#[test]
fn whoever_waits_for_a_permit_of_a_smaller_share_keeps_nobody_from_being_ready() {
    let bulkhead = Bulkhead::builder("stock")
        .max_concurrent(4)
        .max_queue(4)
        .priority_share(Priority::Low, 0.5)
        .build()
        .unwrap();
    let low = bulkhead.with_priority(Priority::Low);
    let _low = [(); 2].map(|()| low.try_acquire().unwrap());
    let mut waiting = task::spawn(low.acquire());
    assert_pending!(waiting.poll());

    // Two permits are free, and this one would get one of them.
    drop(bulkhead.try_acquire().unwrap());
    let mut caller = task::spawn(echo(&bulkhead));
    assert_ready_ok!(poll(&mut caller));
    let mut of_low = task::spawn(echo(&low));
    assert_pending!(poll(&mut of_low));
}

#[test]
fn a_guarantee_that_a_lowered_limit_holds_back_makes_nobody_ready() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(8)
        .partition(Partition::new("live").guaranteed(0.5))
        .build()
        .unwrap();
    let live = bulkhead.partition("live").unwrap();
    let place = live.place();
    let placed = ServiceBuilder::new()
        .layer(
            BulkheadLayer::new(bulkhead.clone())
                .place_by(move |_: &u32| place)
                .back_pressure(),
        )
        .service(Echo);
    let (mut caller, mut placed) = (task::spawn(echo(&live)), task::spawn(placed));
    let mut running: Vec<_> = (0..4).map(|_| bulkhead.try_acquire().unwrap()).collect();
    // One is guaranteed still, but not before those who run are fewer than the limit.
    bulkhead.resize(2).unwrap();
    assert!(live.try_acquire().is_err());
    assert_pending!(poll(&mut caller));
    assert_pending!(poll(&mut placed));
    running.truncate(2);
    assert!(!caller.is_woken() && !placed.is_woken());
    running.truncate(1);
    assert!(caller.is_woken() && placed.is_woken());
    assert_ready_ok!(poll(&mut caller));
    assert_ready_ok!(poll(&mut placed));
    assert!(live.try_acquire().is_ok());
}

#[test]
fn a_service_that_is_dropped_while_it_watches_leaves_nothing_behind() {
    struct Noop;
    impl Wake for Noop {
        fn wake(self: Arc<Self>) {}
    }
    let bulkhead = refusing(1);
    let _permit = bulkhead.try_acquire().unwrap();
    let task = Arc::new(Noop);
    let waker = Waker::from(task.clone());
    let mut service = echo(&bulkhead);
    assert_pending!(service.poll_ready(&mut Context::from_waker(&waker)));
    drop(waker);
    assert_eq!(Arc::strong_count(&task), 2);
    drop(service);
    assert_eq!(Arc::strong_count(&task), 1);
}

#[test]
fn a_call_leaves_a_placed_service_without_a_place() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(2)
        .partition(Partition::new("live").guaranteed(0.5))
        .build()
        .unwrap();
    let live = bulkhead.partition("live").unwrap();
    let places = [bulkhead.place(), live.place()];
    let mut caller = task::spawn(
        BulkheadLayer::new(bulkhead.clone())
            .place_by(move |request: &u32| places[*request as usize])
            .layer(Echo),
    );
    assert_ready_ok!(poll(&mut caller));
    let mut first = task::spawn(caller.enter(|_, mut service| service.call(0)));
    assert_ready_ok!(first.poll());
    let _permit = bulkhead.try_acquire().unwrap();
    // For the last call's place there is no permit now; for that of the next one there is.
    assert_ready_ok!(poll(&mut caller));
    let mut second = task::spawn(caller.enter(|_, mut service| service.call(1)));
    assert_eq!(assert_ready_ok!(second.poll()), 1);
}

#[test]
fn a_placed_service_is_as_ready_as_the_one_it_guards() {
    struct NotReady;
    impl Service<u32> for NotReady {
        type Response = u32;
        type Error = Infallible;
        type Future = Ready<Result<u32, Infallible>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Pending
        }
        fn call(&mut self, _: u32) -> Self::Future {
            panic!("called")
        }
    }
    let bulkhead = refusing(1);
    let place = bulkhead.place();
    let layer = BulkheadLayer::new(bulkhead).place_by(move |_: &u32| place);
    assert_pending!(poll(&mut task::spawn(layer.layer(NotReady))));
}

#[test]
fn whoever_waits_for_a_permit_of_a_full_partition_keeps_nobody_else_from_being_ready() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(4)
        .max_queue(4)
        .partition(Partition::new("batch").at_most(0.25))
        .build()
        .unwrap();
    let batch = bulkhead.partition("batch").unwrap();
    let _permit = batch.try_acquire().unwrap();
    let mut waiting = task::spawn(batch.acquire());
    assert_pending!(waiting.poll());
    assert_ready_ok!(poll(&mut task::spawn(echo(&bulkhead))));
    assert_pending!(poll(&mut task::spawn(echo(&batch))));
}

#[test]
fn who_has_used_up_his_share_is_not_ready_though_there_are_permits() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(4)
        .priority_share(Priority::Low, 0.25)
        .priority_share(Priority::Normal, 0.5)
        .build()
        .unwrap();
    let _permits = [(); 2].map(|()| bulkhead.try_acquire().unwrap());
    assert_pending!(poll(&mut task::spawn(echo(&bulkhead))));
    let high = bulkhead.with_priority(Priority::High);
    assert_ready_ok!(poll(&mut task::spawn(echo(&high))));
}
