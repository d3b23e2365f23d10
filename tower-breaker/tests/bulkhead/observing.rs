//! Dry run, events, and what a snapshot says.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    task::{Context, Wake, Waker},
    time::Duration,
};

use futures_core::Stream;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{ServiceExt, service_fn};
use tower_breaker::{
    BoxError, Bulkhead, BulkheadLayer,
    bulkhead::{Event, EventKind, Partition, Priority, Waits},
};
use tower_layer::Layer;

use crate::support::{load, queueing, refusing};

#[test]
fn a_dry_run_admits_everything_and_counts_what_it_would_have_done() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(2)
        .max_queue(2)
        .dry_run(true)
        .build()
        .unwrap();
    assert!(bulkhead.is_dry_run());
    let mut permits: Vec<_> = (0..3).map(|_| bulkhead.try_acquire().unwrap()).collect();
    for _ in 0..3 {
        permits.push(assert_ready_ok!(task::spawn(bulkhead.acquire()).poll()));
    }
    assert_eq!(load(&bulkhead), (6, 0));
    let snapshot = bulkhead.snapshot();
    let would = snapshot.would_refuse;
    assert_eq!((would.full, would.waited, would.queue_full), (1, 1, 2));
    assert_eq!((snapshot.refused.total(), snapshot.admitted), (0, 6));

    bulkhead.set_dry_run(false);
    assert!(!bulkhead.is_dry_run());
    assert!(bulkhead.try_acquire().is_err());
    permits.truncate(2);
    assert!(bulkhead.try_acquire().is_err());
    permits.truncate(1);
    assert!(bulkhead.try_acquire().is_ok());
    drop(permits);
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn a_dry_run_counts_partitions_exactly() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(2)
        .partition(Partition::new("a").guaranteed(0.5).at_most(0.5))
        .dry_run(true)
        .build()
        .unwrap();
    let part = bulkhead.partition("a").unwrap();
    let permits: Vec<_> = (0..3).map(|_| part.try_acquire().unwrap()).collect();
    let more: Vec<_> = (0..3).map(|_| bulkhead.try_acquire().unwrap()).collect();
    let snapshot = bulkhead.snapshot();
    assert_eq!(
        (snapshot.in_flight, snapshot.partitions[0].in_flight),
        (6, 3)
    );
    assert_eq!(snapshot.would_refuse.full, 5);
    bulkhead.set_dry_run(false);
    drop((permits, more));
    assert_eq!(load(&bulkhead), (0, 0));
    let _permit = part.try_acquire().unwrap();
    assert!(part.try_acquire().is_err() && bulkhead.try_acquire().is_ok());
}

#[test]
fn whoever_waits_when_a_dry_run_begins_is_admitted() {
    let bulkhead = queueing(1, 2);
    let _permit = bulkhead.try_acquire().unwrap();
    let mut waiters = [(); 2].map(|()| task::spawn(bulkhead.acquire()));
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    bulkhead.set_dry_run(true);
    let _permits = waiters.each_mut().map(|waiter| {
        assert!(waiter.is_woken());
        assert_ready_ok!(waiter.poll())
    });
    assert_eq!(load(&bulkhead), (3, 0));
}

#[tokio::test]
async fn services_go_through_in_a_dry_run() {
    for waiting in [false, true] {
        let bulkhead = queueing(1, 1);
        bulkhead.set_dry_run(true);
        let _permit = bulkhead.try_acquire().unwrap();
        let inner = service_fn(async |request: u32| Ok::<_, BoxError>(request));
        let layer = BulkheadLayer::new(bulkhead.clone());
        let answer = if waiting {
            layer.waiting().layer(inner).oneshot(1).await
        } else {
            layer.layer(inner).oneshot(1).await
        };
        assert_eq!(answer.unwrap(), 1);
        let would = bulkhead.snapshot().would_refuse;
        assert_eq!(
            (would.full, would.waited),
            (u64::from(!waiting), u64::from(waiting))
        );
    }
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

#[test]
fn saturation_and_resizing_are_told_once_each_and_in_order() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let told = told.clone();
        move |event: &Event| told.lock().unwrap().push(event.clone())
    };
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(16)
        .max_queue(1)
        .listener(listener)
        .build()
        .unwrap();
    let mut stream = bulkhead.events();
    let mut permits: Vec<_> = (0..16).map(|_| bulkhead.try_acquire().unwrap()).collect();
    assert!(
        told.lock().unwrap().is_empty(),
        "full, but nobody has noticed"
    );
    for _ in 0..3 {
        assert!(bulkhead.try_acquire().is_err());
    }
    let waiter = bulkhead.acquire();
    permits.truncate(13);
    drop(waiter);
    bulkhead.resize(16).unwrap();
    bulkhead.resize(17).unwrap();
    bulkhead.resize(13).unwrap();
    assert!(bulkhead.try_acquire().is_err());
    drop(permits);

    let told = told.lock().unwrap();
    let kinds = kinds(&told);
    assert!(
        matches!(
            kinds[..],
            [
                EventKind::Saturated,
                EventKind::Relieved,
                EventKind::Resized {
                    from: 16,
                    to: 17,
                    ..
                },
                EventKind::Resized {
                    from: 17,
                    to: 13,
                    ..
                },
                EventKind::Saturated,
                EventKind::Relieved,
            ]
        ),
        "{kinds:?}"
    );
    assert!(told.iter().all(|event| &*event.name == "test"));
    assert_eq!(bulkhead.recent_events(), *told);
    let streamed: Vec<_> = std::iter::from_fn(|| stream.try_recv()).collect();
    assert_eq!(streamed, *told);
}

#[test]
fn a_bulkhead_that_nobody_watches_notices_nothing_but_its_limit() {
    let bulkhead = refusing(1);
    let permit = bulkhead.try_acquire().unwrap();
    assert!(bulkhead.try_acquire().is_err());
    drop(permit);
    bulkhead.resize(2).unwrap();
    assert!(matches!(
        kinds(&bulkhead.recent_events())[..],
        [EventKind::Resized { from: 1, to: 2, .. }]
    ));
}

#[test]
fn a_listener_may_use_the_handle_and_may_panic() {
    let handle: Arc<OnceLock<Bulkhead>> = Arc::default();
    let count = Arc::new(Mutex::new(0));
    let (inner, counted) = (handle.clone(), count.clone());
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(1)
        .listener(|_| panic!("not the bulkhead's fault"))
        .listener(move |event| {
            *counted.lock().unwrap() += 1;
            let bulkhead = inner.get().unwrap();
            assert!(bulkhead.snapshot().in_flight <= 2);
            if matches!(event.kind, EventKind::Saturated) {
                bulkhead.resize(2).unwrap();
            }
        })
        .build()
        .unwrap();
    handle.set(bulkhead.clone()).unwrap();
    let _permit = bulkhead.try_acquire().unwrap();
    assert!(bulkhead.try_acquire().is_err());
    assert!(bulkhead.try_acquire().is_ok(), "the listener has made room");
    assert_eq!(bulkhead.recent_events().len(), *count.lock().unwrap());
}

#[test]
fn a_reader_of_events_whose_waker_panics_keeps_none_from_others() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("not the bulkhead's fault");
        }
    }
    let bulkhead = refusing(1);
    let (mut hostile, mut other) = (bulkhead.events(), bulkhead.events());
    let waker = Waker::from(Arc::new(Panics));
    let polled = Pin::new(&mut hostile).poll_next(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    bulkhead.resize(2).unwrap();
    bulkhead.resize(3).unwrap();
    for events in [&mut other, &mut hostile] {
        assert!(events.try_recv().is_some() && events.try_recv().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn waits_are_in_the_histogram_of_the_snapshot() {
    let bulkhead = queueing(1, 1);
    for millis in [3, 30, 30_000] {
        let permit = bulkhead.try_acquire().unwrap();
        let mut waiter = task::spawn(bulkhead.acquire());
        assert_pending!(waiter.poll());
        tokio::time::advance(Duration::from_millis(millis)).await;
        drop(permit);
        drop(assert_ready_ok!(waiter.poll()));
    }
    let waits = bulkhead.snapshot().waits;
    let at = |bound| {
        let index = Waits::BOUNDS
            .iter()
            .position(|other| *other == bound)
            .unwrap();
        waits.histogram[index]
    };
    assert_eq!(at(Duration::from_millis(1)), 0);
    assert_eq!(at(Duration::from_millis(5)), 1);
    assert_eq!(at(Duration::from_millis(50)), 2);
    assert_eq!((at(Duration::from_secs(10)), waits.granted), (2, 3));
    assert_eq!(waits.longest, Duration::from_secs(30));
}

#[test]
fn a_dry_run_that_overdraws_a_guarantee_gives_the_pool_back_what_it_took_of_it() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(8)
        .partition(Partition::new("live").guaranteed(0.5))
        .build()
        .unwrap();
    let live = bulkhead.partition("live").unwrap();
    let running = [(); 4].map(|()| bulkhead.try_acquire().unwrap());
    // One permit is guaranteed still, and held back until those who run are fewer than the limit.
    bulkhead.resize(2).unwrap();
    bulkhead.set_dry_run(true);
    let permit = live.try_acquire().unwrap();
    assert_eq!(bulkhead.snapshot().in_flight, 5);
    drop((permit, running));
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn a_snapshot_tells_the_calls_of_each_priority_apart() {
    let bulkhead = refusing(100);
    let (low, high) = (
        bulkhead.with_priority(Priority::Low),
        bulkhead.with_priority(Priority::High),
    );
    let mut permits = Vec::new();
    for (handle, calls) in [(&low, 2), (&bulkhead, 94), (&high, 4)] {
        permits.extend((0..calls).map(|_| handle.try_acquire().unwrap()));
    }
    for (handle, calls) in [(&low, 3), (&bulkhead, 9), (&high, 5)] {
        (0..calls).for_each(|_| assert!(handle.try_acquire().is_err()));
    }
    let figures = bulkhead
        .snapshot()
        .priorities
        .map(|one| (one.priority, one.admitted, one.refused));
    let expected = [
        (Priority::Low, 2, 3),
        (Priority::Normal, 94, 9),
        (Priority::High, 4, 5),
    ];
    assert_eq!(figures, expected);
}

#[test]
fn a_reader_of_events_waits_for_the_next_one() {
    let bulkhead = refusing(1);
    let mut events = bulkhead.events();
    let mut next = task::spawn(events.recv());
    assert_pending!(next.poll());
    bulkhead.resize(2).unwrap();
    assert!(next.is_woken());
    let kind = assert_ready!(next.poll()).unwrap().kind;
    assert!(matches!(kind, EventKind::Resized { from: 1, to: 2, .. }));
    drop(next);
    drop(bulkhead);
    assert!(assert_ready!(task::spawn(events.recv()).poll()).is_none());
}

#[test]
fn who_has_used_up_his_share_does_not_make_the_bulkhead_full() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(4)
        .priority_share(Priority::Low, 0.5)
        .build()
        .unwrap();
    let mut events = bulkhead.events();
    let low = bulkhead.with_priority(Priority::Low);
    let _permits = [(); 2].map(|()| low.try_acquire().unwrap());
    assert!(low.try_acquire().is_err());
    assert!(events.try_recv().is_none());
}

#[test]
fn it_is_relieved_when_an_eighth_is_free_and_nobody_waits() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(16)
        .max_queue(1)
        .priority_share(Priority::Low, 0.25)
        .build()
        .unwrap();
    let low = bulkhead.with_priority(Priority::Low);
    let mut events = bulkhead.events();
    let mut next = || events.try_recv().map(|event| event.kind);
    let lows = [(); 4].map(|()| low.try_acquire().unwrap());
    let mut permits: Vec<_> = (0..12).map(|_| bulkhead.try_acquire().unwrap()).collect();
    assert!(bulkhead.try_acquire().is_err());
    assert_eq!(next(), Some(EventKind::Saturated));
    permits.truncate(11);
    assert_eq!(next(), None);
    // Then somebody waits for one of his share's.
    let waiter = low.acquire();
    permits.truncate(1);
    assert_eq!((load(&bulkhead), next()), ((5, 1), None));
    drop(waiter);
    assert_eq!(next(), Some(EventKind::Relieved));
    drop((lows, permits));
    assert_eq!(next(), None);
}
