use tokio_test::{assert_pending, assert_ready, task};
use tower_breaker::Reason;

use crate::support::{load, queueing, refusing};

#[test]
fn as_many_permits_as_the_limit_and_no_more() {
    let bulkhead = refusing(2);
    let first = bulkhead.try_acquire().unwrap();
    let second = bulkhead.try_acquire().unwrap();
    assert_eq!(
        bulkhead.try_acquire().unwrap_err().reason(),
        Reason::BulkheadFull
    );
    let refused = bulkhead.try_acquire().unwrap_err();
    assert_eq!(refused.state(), None, "it was no circuit");
    drop(first);
    assert_eq!(load(&bulkhead), (1, 0));
    let third = bulkhead.try_acquire().unwrap();
    assert_eq!(bulkhead.try_acquire().unwrap_err().name(), "test");
    drop((second, third));
    assert_eq!(load(&bulkhead), (0, 0));

    let snapshot = bulkhead.snapshot();
    assert_eq!(
        (
            snapshot.admitted,
            snapshot.refused.full,
            snapshot.refused.total()
        ),
        (3, 3, 3)
    );
}

#[test]
fn waiters_are_served_in_the_order_they_came() {
    let bulkhead = queueing(1, 3);
    let mut permit = bulkhead.try_acquire().unwrap();
    // Polled in another order than they came.
    let mut waiters: Vec<_> = (0..3).map(|_| task::spawn(bulkhead.acquire())).collect();
    for waiter in waiters.iter_mut().rev() {
        assert_pending!(waiter.poll());
    }
    while !waiters.is_empty() {
        drop(permit);
        for later in &waiters[1..] {
            assert!(!later.is_woken());
        }
        let mut first = waiters.remove(0);
        assert!(first.is_woken());
        permit = assert_ready!(first.poll()).unwrap();
        for later in &mut waiters {
            assert_pending!(later.poll());
        }
    }
    drop(permit);
    assert_eq!(load(&bulkhead), (0, 0));
    assert_eq!(bulkhead.snapshot().waits.granted, 3);
}

#[test]
fn nobody_overtakes_a_waiter() {
    let bulkhead = queueing(1, 2);
    let permit = bulkhead.try_acquire().unwrap();
    let mut waiter = task::spawn(bulkhead.acquire());
    assert_pending!(waiter.poll());
    drop(permit);
    // The permit is on its way to the waiter, who has not been polled yet.
    assert!(bulkhead.try_acquire().is_err());
    let mut late = task::spawn(bulkhead.acquire());
    assert_pending!(late.poll());
    let permit = assert_ready!(waiter.poll()).unwrap();
    assert_pending!(late.poll());
    drop(permit);
    assert!(assert_ready!(late.poll()).is_ok());
}

#[test]
fn a_full_queue_refuses_and_one_that_has_emptied_does_not() {
    let bulkhead = queueing(1, 2);
    let permit = bulkhead.try_acquire().unwrap();
    let mut first = task::spawn(bulkhead.acquire());
    let second = task::spawn(bulkhead.acquire());
    let mut third = task::spawn(bulkhead.acquire());
    assert_eq!(
        assert_ready!(third.poll()).unwrap_err().reason(),
        Reason::QueueFull
    );
    drop(second);
    let mut fourth = task::spawn(bulkhead.acquire());
    assert_pending!(fourth.poll());

    // Room again as soon as a permit is on its way to the first, though it has not been picked up.
    drop(permit);
    let mut fifth = task::spawn(bulkhead.acquire());
    assert_pending!(fifth.poll());
    assert_eq!(load(&bulkhead), (1, 2));

    drop(assert_ready!(first.poll()));
    drop(assert_ready!(fourth.poll()));
    drop(assert_ready!(fifth.poll()));
    let snapshot = bulkhead.snapshot();
    assert_eq!(
        (
            snapshot.admitted,
            snapshot.refused.queue_full,
            snapshot.waits.abandoned
        ),
        (4, 1, 1)
    );
}

#[test]
fn without_a_queue_acquire_never_waits() {
    let bulkhead = refusing(1);
    let _permit = assert_ready!(task::spawn(bulkhead.acquire()).poll()).unwrap();
    let refused = assert_ready!(task::spawn(bulkhead.acquire()).poll()).unwrap_err();
    assert_eq!(refused.reason(), Reason::BulkheadFull);
    assert_eq!(refused.retry_after(), None);
}

#[test]
fn a_waiter_wakes_the_task_that_polled_it_last() {
    let bulkhead = queueing(1, 1);
    let permit = bulkhead.try_acquire().unwrap();
    let mut waiter = Box::pin(bulkhead.acquire());
    let mut first = task::spawn(());
    let mut second = task::spawn(());
    first.enter(|cx, _| assert_pending!(waiter.as_mut().poll(cx)));
    second.enter(|cx, _| assert_pending!(waiter.as_mut().poll(cx)));
    drop(permit);
    assert!(!first.is_woken());
    assert!(second.is_woken());
}

#[test]
fn permits_and_waiters_outlive_every_handle() {
    let bulkhead = queueing(1, 1);
    let permit = bulkhead.try_acquire().unwrap();
    let mut waiter = task::spawn(bulkhead.acquire());
    drop(bulkhead);
    assert_pending!(waiter.poll());
    drop(permit);
    assert!(assert_ready!(waiter.poll()).is_ok());
}

#[test]
fn handles_permits_and_futures_may_cross_threads() {
    fn crosses<T: Send + Sync + 'static>(_: &T) {}
    let bulkhead = queueing(1, 1);
    crosses(&bulkhead);
    crosses(&bulkhead.try_acquire().unwrap());
    crosses(&bulkhead.acquire());
    assert!(format!("{bulkhead:?}").contains("\"test\""));
}
