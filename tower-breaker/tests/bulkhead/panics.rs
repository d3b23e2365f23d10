//! Panics of the inner service, caught by whoever polls, who may keep the future or the service.

use std::{
    future::{Future, Ready, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use tower::{Service, service_fn};
use tower_breaker::{BoxError, Bulkhead, BulkheadLayer, Reason, bulkhead::Priority};
use tower_layer::Layer;

use crate::support::{load, queueing, reason, refusing};

fn panics<T>(run: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(|| drop(run()))).is_err()
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn poll_ready<S: Service<()>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Context::from_waker(Waker::noop()))
}

#[derive(Clone, Copy, PartialEq)]
enum At {
    Nowhere,
    Readiness,
    Call,
}

/// Panics at a given place, but as a clone only if `in_clones`; notes the load on the bulkhead when a clone is dropped.
struct Panics {
    at: At,
    in_clones: At,
    calls: Arc<AtomicUsize>,
    is_clone: bool,
    bulkhead: Bulkhead,
    load_at_drop: Arc<AtomicUsize>,
}

impl Panics {
    fn new(bulkhead: &Bulkhead, at: At, in_clones: At) -> Self {
        Self {
            at,
            in_clones,
            calls: Arc::default(),
            is_clone: false,
            bulkhead: bulkhead.clone(),
            load_at_drop: Arc::new(AtomicUsize::new(usize::MAX)),
        }
    }
}

impl Clone for Panics {
    fn clone(&self) -> Self {
        Self {
            at: self.in_clones,
            in_clones: self.in_clones,
            calls: self.calls.clone(),
            is_clone: true,
            bulkhead: self.bulkhead.clone(),
            load_at_drop: self.load_at_drop.clone(),
        }
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        if self.is_clone {
            let in_flight = self.bulkhead.snapshot().in_flight;
            self.load_at_drop.store(in_flight, Ordering::Relaxed);
        }
    }
}

impl Service<()> for Panics {
    type Response = ();
    type Error = BoxError;
    type Future = Ready<Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        assert!(self.at != At::Readiness, "in readiness");
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        assert!(self.at != At::Call, "in the call");
        self.calls.fetch_add(1, Ordering::Relaxed);
        ready(Ok(()))
    }
}

#[test]
fn a_panic_in_the_inner_future_gives_the_permit_back_at_once() {
    let bulkhead = refusing(1);
    let inner = service_fn(async |()| -> Result<(), BoxError> { panic!("in the future") });
    let mut service = BulkheadLayer::new(bulkhead.clone()).layer(inner);
    assert!(poll_ready(&mut service).is_ready());
    let mut call = Box::pin(service.call(()));
    assert_eq!(load(&bulkhead), (1, 0));
    assert!(panics(|| poll(&mut call)));
    assert_eq!(load(&bulkhead), (0, 0));
    // It is not run on without a permit, and has none to give back any more.
    let others = bulkhead.try_acquire().unwrap();
    assert!(panics(|| poll(&mut call)));
    drop(call);
    assert_eq!(load(&bulkhead), (1, 0));
    drop(others);
}

#[test]
fn a_panic_in_the_inner_call_gives_the_permit_back_at_once() {
    let bulkhead = queueing(1, 1);
    let layer = BulkheadLayer::new(bulkhead.clone());
    let mut plain = layer.layer(Panics::new(&bulkhead, At::Call, At::Call));
    let mut waiting = layer
        .clone()
        .waiting()
        .layer(Panics::new(&bulkhead, At::Call, At::Call));
    assert!(poll_ready(&mut plain).is_ready());
    assert!(panics(|| plain.call(())));
    assert_eq!(load(&bulkhead), (0, 0));
    assert!(poll_ready(&mut waiting).is_ready());
    assert!(panics(|| waiting.call(())));
    assert_eq!(load(&bulkhead), (0, 0));
    assert_eq!(bulkhead.snapshot().admitted, 2);
}

#[test]
fn a_panic_after_the_wait_gives_the_permit_back_at_once() {
    for at in [At::Readiness, At::Call] {
        let bulkhead = queueing(1, 1);
        let inner = Panics::new(&bulkhead, At::Nowhere, at);
        let load_at_drop = inner.load_at_drop.clone();
        let mut service = BulkheadLayer::new(bulkhead.clone()).waiting().layer(inner);
        let busy = bulkhead.try_acquire().unwrap();
        assert!(poll_ready(&mut service).is_ready());
        let mut call = Box::pin(service.call(()));
        assert!(poll(&mut call).is_pending());
        drop(busy);
        assert!(panics(|| poll(&mut call)));
        assert_eq!(load(&bulkhead), (0, 0));
        if at == At::Call {
            let seen = load_at_drop.load(Ordering::Relaxed);
            assert_eq!(seen, 1, "the clone goes before the permit");
        }
        assert!(panics(|| poll(&mut call)));
        drop(call);
        assert_eq!(load(&bulkhead), (0, 0));
    }
}

#[test]
fn readiness_does_not_outlive_a_panic_of_the_next_poll_ready() {
    // While it is full, `poll_ready` is not the inner service's. The call must not be either.
    let bulkhead = refusing(1);
    let inner = Panics::new(&bulkhead, At::Nowhere, At::Nowhere);
    let calls = inner.calls.clone();
    let mut plain = BulkheadLayer::new(bulkhead.clone()).typed().layer(inner);
    assert!(poll_ready(&mut plain).is_ready());
    plain.get_mut().at = At::Readiness;
    assert!(panics(|| poll_ready(&mut plain)));
    let busy = bulkhead.try_acquire().unwrap();
    assert!(poll_ready(&mut plain).is_ready());
    drop(busy);
    let Poll::Ready(refused) = poll(&mut plain.call(())) else {
        panic!("a refusal waits")
    };
    assert_eq!(reason(refused), Reason::BulkheadFull);
    assert_eq!(calls.load(Ordering::Relaxed), 0);

    // A waiting service calls a fresh clone instead.
    let inner = Panics::new(&bulkhead, At::Nowhere, At::Nowhere);
    let mut waiting = BulkheadLayer::new(bulkhead.clone()).waiting().layer(inner);
    assert!(poll_ready(&mut waiting).is_ready());
    waiting.get_mut().at = At::Readiness;
    assert!(panics(|| poll_ready(&mut waiting)));
    let mut call = Box::pin(waiting.call(()));
    assert!(matches!(poll(&mut call), Poll::Ready(Ok(()))));
    assert!(waiting.get_ref().is_clone);
}

struct Hostile;

impl std::task::Wake for Hostile {
    fn wake(self: Arc<Self>) {
        panic!("a waker's");
    }
}

#[test]
fn a_waker_that_panics_costs_nobody_else_a_permit_or_a_place() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(1)
        .max_queue(1)
        .build()
        .unwrap();
    let hostile = Waker::from(Arc::new(Hostile));
    let mut cx = Context::from_waker(&hostile);
    let held = bulkhead.try_acquire().unwrap();
    let mut displaced = Box::pin(bulkhead.with_priority(Priority::Low).acquire());
    assert!(displaced.as_mut().poll(&mut cx).is_pending());
    // It takes the place of the first, whose waker is called.
    let mut waiting = Box::pin(bulkhead.acquire());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    assert_eq!(bulkhead.snapshot().queued, 1);
    // As is its own, when the permit comes.
    drop(held);
    assert_eq!(bulkhead.snapshot().in_flight, 1);
    drop((displaced, waiting));
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued), (0, 0));
    drop(bulkhead.try_acquire().unwrap());
}
