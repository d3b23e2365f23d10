//! Waiters whose caller goes away, at every point of their life.

use std::{
    any::Any,
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
};

use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Service, ServiceExt};
use tower_breaker::BulkheadLayer;
use tower_layer::Layer;
use tower_test::mock;

use crate::support::{load, queueing};

#[test]
fn before_the_first_poll() {
    let bulkhead = queueing(1, 1);
    let permit = bulkhead.try_acquire().unwrap();
    drop(bulkhead.acquire());
    assert_eq!(load(&bulkhead), (1, 0));
    drop(permit);
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn first_middle_and_last_in_the_queue() {
    for leaves in 0..3 {
        let bulkhead = queueing(1, 3);
        let permit = bulkhead.try_acquire().unwrap();
        let mut waiters: Vec<_> = (0..3).map(|_| task::spawn(bulkhead.acquire())).collect();
        for waiter in &mut waiters {
            assert_pending!(waiter.poll());
        }
        drop(waiters.remove(leaves));
        assert_eq!(load(&bulkhead), (1, 2));
        // The place is free at once, behind the others.
        waiters.push(task::spawn(bulkhead.acquire()));
        drop(permit);
        for mut waiter in waiters {
            drop(assert_ready_ok!(waiter.poll()));
        }
        assert_eq!(load(&bulkhead), (0, 0));
    }
}

#[test]
fn after_the_permit_came_and_before_it_was_picked_up() {
    let bulkhead = queueing(1, 2);
    let permit = bulkhead.try_acquire().unwrap();
    let mut first = task::spawn(bulkhead.acquire());
    let mut second = task::spawn(bulkhead.acquire());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    drop(permit);
    assert!(first.is_woken() && !second.is_woken());
    drop(first);
    assert!(second.is_woken(), "the permit is passed on");
    drop(assert_ready_ok!(second.poll()));
    assert_eq!(load(&bulkhead), (0, 0));

    let snapshot = bulkhead.snapshot();
    assert_eq!(
        (
            snapshot.admitted,
            snapshot.waits.granted,
            snapshot.waits.abandoned
        ),
        (3, 1, 1)
    );
}

#[test]
fn a_whole_chain_of_granted_waiters() {
    let bulkhead = queueing(1, 100);
    let permit = bulkhead.try_acquire().unwrap();
    let waiters: Vec<_> = (0..100).map(|_| bulkhead.acquire()).collect();
    drop(permit);
    drop(waiters);
    assert_eq!(load(&bulkhead), (0, 0));
    assert_eq!(bulkhead.snapshot().waits.abandoned, 100);
    assert!(bulkhead.try_acquire().is_ok());
}

#[tokio::test]
async fn a_queued_call_at_each_of_its_stages() {
    let bulkhead = queueing(1, 1);
    let (inner, mut handle) = mock::pair::<&str, &str>();
    let mut service = BulkheadLayer::new(bulkhead.clone()).waiting().layer(inner);

    for polled in [false, true] {
        let permit = bulkhead.try_acquire().unwrap();
        let mut waiting = task::spawn(service.ready().await.unwrap().call("waiting"));
        if polled {
            assert_pending!(waiting.poll());
        }
        drop(waiting);
        assert_eq!(load(&bulkhead), (1, 0));
        drop(permit);
    }

    let permit = bulkhead.try_acquire().unwrap();
    let mut readying = task::spawn(service.ready().await.unwrap().call("readying"));
    assert_pending!(readying.poll());
    handle.allow(0);
    drop(permit);
    assert_pending!(readying.poll());
    assert_eq!(load(&bulkhead), (1, 0));
    drop(readying);
    assert_eq!(load(&bulkhead), (0, 0));

    let permit = bulkhead.try_acquire().unwrap();
    let mut calling = task::spawn(service.ready().await.unwrap().call("calling"));
    assert_pending!(calling.poll());
    handle.allow(1);
    drop(permit);
    assert_pending!(calling.poll());
    assert_eq!(handle.next_request().await.unwrap().0, "calling");
    assert_eq!(load(&bulkhead), (1, 0));
    drop(calling);
    assert_eq!(load(&bulkhead), (0, 0));
}

// A waker may own anything, such as a task that itself holds places in the queue. So it must neither be woken nor dropped
// while the queue's lock is held.
struct Owner(Mutex<Option<Box<dyn Any + Send>>>);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().unwrap().take());
    }
}

#[derive(Clone, Copy)]
enum End {
    Woken,
    Dropped,
    Replaced,
}

#[test]
fn a_waker_may_drop_other_waiters_of_the_same_bulkhead() {
    let bulkhead = queueing(1, 3);
    for end in [End::Woken, End::Dropped, End::Replaced] {
        let permit = bulkhead.try_acquire().unwrap();
        let mut outer = Box::pin(bulkhead.acquire());
        let owned = (bulkhead.acquire(), bulkhead.acquire());
        let waker = Waker::from(Arc::new(Owner(Mutex::new(Some(Box::new(owned))))));
        assert_pending!(outer.as_mut().poll(&mut Context::from_waker(&waker)));
        drop(waker);
        assert_eq!(load(&bulkhead), (1, 3));
        match end {
            End::Woken => {
                drop(permit);
                assert_eq!(load(&bulkhead), (1, 0));
            }
            End::Dropped => {
                drop(outer);
                assert_eq!(load(&bulkhead), (1, 0));
                continue;
            }
            End::Replaced => {
                assert_pending!(outer.as_mut().poll(&mut Context::from_waker(Waker::noop())));
                assert_eq!(load(&bulkhead), (1, 1));
            }
        }
        drop(outer);
    }
    assert_eq!(load(&bulkhead), (0, 0));
}
