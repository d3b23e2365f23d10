use std::task::Poll;

use tokio_test::{assert_pending, assert_ready_ok, task};
use tower_breaker::{Reason, bulkhead::Outcome};

use crate::support::{load, queueing, refusing};

#[test]
fn growing_serves_the_queue_in_order_and_shrinking_drains() {
    let bulkhead = queueing(1, 3);
    let first = bulkhead.try_acquire().unwrap();
    let mut waiters: Vec<_> = (0..3).map(|_| task::spawn(bulkhead.acquire())).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }

    bulkhead.resize(3).unwrap();
    assert_eq!(load(&bulkhead), (3, 1));
    assert!(waiters[0].is_woken() && waiters[1].is_woken() && !waiters[2].is_woken());
    let second = assert_ready_ok!(waiters[0].poll());
    let third = assert_ready_ok!(waiters[1].poll());

    bulkhead.resize(1).unwrap();
    assert_eq!(load(&bulkhead), (3, 1));
    drop((first, second));
    assert_eq!(load(&bulkhead), (1, 1));
    assert!(!waiters[2].is_woken());
    assert_eq!(
        bulkhead.try_acquire().unwrap_err().reason(),
        Reason::BulkheadFull
    );
    drop(third);
    assert!(waiters[2].is_woken());
    let last = assert_ready_ok!(waiters[2].poll());
    assert_eq!(load(&bulkhead), (1, 0));
    drop(last);
    assert_eq!(load(&bulkhead), (0, 0));
    assert_eq!(bulkhead.snapshot().max_concurrent, 1);
}

#[test]
fn a_limit_out_of_range_changes_nothing_and_says_what_is_allowed() {
    let bulkhead = refusing(2);
    for wrong in [0, 250_001, usize::MAX] {
        let text = bulkhead.resize(wrong).unwrap_err().to_string();
        assert!(
            text.contains(&format!("`max_concurrent` is {wrong}")) && text.contains("1 to 250000"),
            "{text}"
        );
        assert_eq!(bulkhead.snapshot().max_concurrent, 2);
    }
    bulkhead.resize(250_000).unwrap();
    bulkhead.resize(1).unwrap();
}

#[test]
fn handles_and_waiters_of_before_go_by_the_new_limit() {
    let bulkhead = queueing(1, 1);
    let other = bulkhead.clone();
    let _running = bulkhead.try_acquire().unwrap();
    other.resize(2).unwrap();
    let _second = bulkhead.try_acquire().unwrap();
    assert!(matches!(
        task::spawn(bulkhead.acquire()).poll(),
        Poll::Pending
    ));
}

#[test]
fn a_permit_that_is_finished_is_given_back_whatever_the_outcome() {
    let bulkhead = refusing(1);
    for outcome in [Outcome::Success, Outcome::Overload, Outcome::Ignore] {
        bulkhead.try_acquire().unwrap().finish(outcome);
        assert_eq!(load(&bulkhead), (0, 0));
    }
}

#[test]
fn a_permit_outlives_every_handle() {
    let bulkhead = queueing(1, 1);
    let permit = bulkhead.try_acquire().unwrap();
    let mut waiter = task::spawn(bulkhead.acquire());
    assert_pending!(waiter.poll());
    drop(bulkhead);
    drop(permit);
    drop(assert_ready_ok!(waiter.poll()));
}
