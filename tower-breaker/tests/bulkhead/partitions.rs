use std::sync::Arc;

use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_breaker::{
    BoxError, Bulkhead, BulkheadLayer, BulkheadPermit, Reason,
    bulkhead::{Partition, Place, Priority},
};

use crate::support::load;

fn divided(
    max_concurrent: usize,
    max_queue: usize,
    partitions: &[(f64, f64)],
) -> (Bulkhead, Vec<Bulkhead>) {
    let mut builder = Bulkhead::builder("test")
        .max_concurrent(max_concurrent)
        .max_queue(max_queue);
    for (index, (guaranteed, at_most)) in partitions.iter().enumerate() {
        let partition = Partition::new(index.to_string())
            .guaranteed(*guaranteed)
            .at_most(*at_most);
        builder = builder.partition(partition);
    }
    let bulkhead = builder.build().unwrap();
    let handles = (0..partitions.len())
        .map(|index| bulkhead.partition(&index.to_string()).unwrap())
        .collect();
    (bulkhead, handles)
}

fn take_all(bulkhead: &Bulkhead) -> Vec<BulkheadPermit> {
    std::iter::from_fn(|| bulkhead.try_acquire().ok()).collect()
}

#[test]
fn a_guarantee_is_nobody_elses_and_the_rest_is_borrowed_up_to_the_limit() {
    let (bulkhead, parts) = divided(10, 0, &[(0.3, 0.5), (0.2, 1.0)]);
    // 3 and 2 are guaranteed, 5 are common.
    let first = take_all(&parts[0]);
    assert_eq!(first.len(), 5);
    let second = take_all(&parts[1]);
    assert_eq!(second.len(), 5);
    assert_eq!(load(&bulkhead), (10, 0));
    assert!(bulkhead.try_acquire().is_err());
    let snapshot = bulkhead.snapshot();
    let figures: Vec<_> = snapshot
        .partitions
        .iter()
        .map(|part| {
            (
                part.guaranteed,
                part.at_most,
                part.in_flight,
                part.borrowed,
                part.refused.full,
            )
        })
        .collect();
    assert_eq!(figures, [(3, 5, 5, 2, 1), (2, 10, 5, 3, 1)]);
    drop((first, second));
    assert_eq!(load(&bulkhead), (0, 0));

    // Without a partition there is the common pool only.
    assert_eq!(take_all(&bulkhead).len(), 5);
}

#[test]
fn a_freed_permit_is_one_of_the_pools_as_long_as_any_is_borrowed() {
    let (bulkhead, parts) = divided(4, 0, &[(0.5, 1.0)]);
    let mut mine = take_all(&parts[0]);
    assert_eq!(mine.len(), 4);
    drop(mine.pop());
    let others = bulkhead.try_acquire().unwrap();
    assert!(parts[0].try_acquire().is_err());
    drop(mine.pop());
    let also = bulkhead.try_acquire().unwrap();
    // Now what comes back is guaranteed.
    drop(mine.pop());
    assert!(bulkhead.try_acquire().is_err());
    let again = parts[0].try_acquire().unwrap();
    drop((others, also, again, mine));
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn a_partition_that_floods_keeps_neither_permits_nor_places_from_another() {
    let (bulkhead, parts) = divided(4, 4, &[(0.5, 0.5), (0.5, 0.5)]);
    let _busy = take_all(&parts[0]);
    let _waiting: Vec<_> = (0..100).map(|_| parts[0].acquire()).collect();
    assert_eq!(load(&bulkhead), (2, 2));
    let live = take_all(&parts[1]);
    assert_eq!(live.len(), 2);
    let mut waiter = task::spawn(parts[1].acquire());
    assert_pending!(waiter.poll());
    drop(live);
    drop(assert_ready_ok!(waiter.poll()));
}

#[test]
fn a_waiter_of_the_partition_that_frees_a_guaranteed_permit_gets_it_before_older_ones() {
    let (bulkhead, parts) = divided(2, 2, &[(0.5, 0.5), (0.5, 0.5)]);
    let permits: Vec<_> = parts
        .iter()
        .map(|part| part.try_acquire().unwrap())
        .collect();
    let mut older = task::spawn(parts[0].acquire());
    let mut younger = task::spawn(parts[1].acquire());
    assert_pending!(older.poll());
    assert_pending!(younger.poll());
    let [first, second] = permits.try_into().unwrap();
    drop(second);
    assert!(!older.is_woken() && younger.is_woken());
    let permit = assert_ready_ok!(younger.poll());
    drop(first);
    drop(assert_ready_ok!(older.poll()));
    drop(permit);
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn among_those_who_may_have_it_the_oldest_gets_what_the_pool_has() {
    let (bulkhead, parts) = divided(1, 3, &[(0.0, 1.0), (0.0, 1.0)]);
    let permit = bulkhead.try_acquire().unwrap();
    let mut waiters: Vec<_> = [&parts[1], &bulkhead, &parts[0]]
        .map(|handle| task::spawn(handle.acquire()))
        .into();
    drop(permit);
    for waiter in &mut waiters {
        let permit = assert_ready_ok!(waiter.poll());
        assert_eq!(load(&bulkhead).0, 1);
        drop(permit);
    }
}

#[test]
fn shares_follow_the_limit_and_what_was_borrowed_stays_borrowed() {
    let (bulkhead, parts) = divided(10, 0, &[(0.5, 1.0), (0.5, 1.0)]);
    let mut first = take_all(&parts[0]);
    assert_eq!(first.len(), 5);
    bulkhead.resize(20).unwrap();
    first.extend(take_all(&parts[0]));
    assert_eq!(first.len(), 10);

    bulkhead.resize(4).unwrap();
    assert_eq!(load(&bulkhead), (10, 0));
    // Guaranteed two, but there are more calls than may run already.
    assert!(parts[1].try_acquire().is_err());
    first.truncate(4);
    assert!(parts[1].try_acquire().is_err());
    first.truncate(3);
    let second = parts[1].try_acquire().unwrap();
    assert!(parts[1].try_acquire().is_err());
    first.truncate(2);
    let third = parts[1].try_acquire().unwrap();
    assert_eq!(load(&bulkhead), (4, 0));
    drop((first, second, third));
    assert_eq!(load(&bulkhead), (0, 0));
    assert_eq!(
        (take_all(&parts[0]).len(), take_all(&parts[1]).len()),
        (2, 2)
    );
}

#[test]
fn a_waiter_whose_guarantee_is_held_back_by_others_is_served_as_they_drain() {
    let (bulkhead, parts) = divided(8, 4, &[(0.5, 1.0), (0.5, 1.0), (0.0, 1.0)]);
    let mut busy = take_all(&parts[0]);
    assert_eq!(busy.len(), 4);
    bulkhead.resize(2).unwrap();
    let mut waiter = task::spawn(parts[1].acquire());
    assert_pending!(waiter.poll());
    busy.truncate(2);
    assert!(!waiter.is_woken());
    // This one is guaranteed to the partition that gives it back, and yet it is what the other waits for.
    busy.truncate(1);
    assert!(waiter.is_woken());
    drop(assert_ready_ok!(waiter.poll()));
}

#[test]
fn priorities_go_first_and_first_come_first_served_within_one() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(1)
        .max_queue(5)
        .build()
        .unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    let order = [
        Priority::Low,
        Priority::Normal,
        Priority::High,
        Priority::Normal,
        Priority::High,
    ];
    let mut waiters: Vec<_> = order
        .map(|priority| task::spawn(bulkhead.with_priority(priority).acquire()))
        .into();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    drop(permit);
    for next in [2, 4, 1, 3, 0] {
        let woken: Vec<_> = (0..5).filter(|at| waiters[*at].is_woken()).collect();
        assert_eq!(woken, [next]);
        drop(assert_ready_ok!(waiters[next].poll()));
    }
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn a_full_queue_sends_away_the_last_of_the_lowest() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(1)
        .max_queue(3)
        .build()
        .unwrap();
    let handle = |priority| bulkhead.with_priority(priority);
    let permit = bulkhead.try_acquire().unwrap();
    let mut low = [(); 2].map(|()| task::spawn(handle(Priority::Low).acquire()));
    let mut normal = task::spawn(bulkhead.acquire());
    for waiter in low.iter_mut().chain([&mut normal]) {
        assert_pending!(waiter.poll());
    }
    // Nobody is lower than these.
    let refused = assert_ready_err!(task::spawn(handle(Priority::Low).acquire()).poll());
    assert_eq!(refused.reason(), Reason::QueueFull);

    let mut high = [(); 3].map(|()| task::spawn(handle(Priority::High).acquire()));
    for (waiter, displaced) in high.iter_mut().zip([1, 0, 2]) {
        assert_pending!(waiter.poll());
        let [first, second] = &mut low;
        let displaced = [first, second, &mut normal]
            .into_iter()
            .nth(displaced)
            .unwrap();
        assert!(displaced.is_woken());
        assert_eq!(
            assert_ready_err!(displaced.poll()).reason(),
            Reason::Displaced
        );
    }
    let refused = assert_ready_err!(task::spawn(handle(Priority::High).acquire()).poll());
    assert_eq!(refused.reason(), Reason::QueueFull);

    let snapshot = bulkhead.snapshot();
    assert_eq!(
        (snapshot.refused.displaced, snapshot.refused.queue_full),
        (3, 2)
    );
    let figures = snapshot
        .priorities
        .map(|one| (one.queued, one.admitted, one.refused));
    assert_eq!(figures, [(0, 0, 3), (0, 1, 1), (3, 0, 1)]);
    drop(permit);
    for waiter in &mut high {
        drop(assert_ready_ok!(waiter.poll()));
    }
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn a_displaced_call_that_nobody_asks_for_again_leaves_nothing_behind() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(1)
        .max_queue(1)
        .build()
        .unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    let low = bulkhead.with_priority(Priority::Low).acquire();
    let high = bulkhead.with_priority(Priority::High).acquire();
    drop(low);
    assert_eq!(load(&bulkhead), (1, 1));
    assert_eq!(bulkhead.snapshot().waits.abandoned, 1);
    drop((permit, high));
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn nobody_is_displaced_from_a_place_that_is_guaranteed_to_another_partition() {
    let (_bulkhead, parts) = divided(2, 2, &[(0.5, 1.0), (0.5, 1.0)]);
    let _busy = [take_all(&parts[0]), take_all(&parts[1])];
    let mut low = task::spawn(parts[0].with_priority(Priority::Low).acquire());
    let mut own = task::spawn(parts[1].with_priority(Priority::Low).acquire());
    assert_pending!(low.poll());
    assert_pending!(own.poll());
    let _high = parts[1].with_priority(Priority::High).acquire();
    assert!(!low.is_woken() && own.is_woken());
    let refused =
        assert_ready_err!(task::spawn(parts[1].with_priority(Priority::High).acquire()).poll());
    assert_eq!(refused.reason(), Reason::QueueFull);
}

#[test]
fn a_priority_with_a_share_is_refused_before_the_bulkhead_is_full() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(10)
        .max_queue(2)
        .priority_share(Priority::Low, 0.5)
        .priority_share(Priority::Normal, 0.8)
        .build()
        .unwrap();
    let low = bulkhead.with_priority(Priority::Low);
    let high = bulkhead.with_priority(Priority::High);
    let mut permits = take_all(&low);
    assert_eq!(permits.len(), 5);
    let mut waiter = task::spawn(low.acquire());
    assert_pending!(waiter.poll());
    // A waiter who may not have what is left is in nobody's way.
    permits.extend(take_all(&bulkhead));
    assert_eq!(permits.len(), 8);
    permits.extend(take_all(&high));
    assert_eq!(permits.len(), 10);
    permits.truncate(5);
    assert!(!waiter.is_woken());
    permits.truncate(4);
    drop(assert_ready_ok!(waiter.poll()));
}

#[test]
fn shares_that_make_no_sense_do_not_build() {
    let text = |builder: tower_breaker::bulkhead::BulkheadBuilder| {
        builder.max_concurrent(10).build().unwrap_err().to_string()
    };
    let start = || Bulkhead::builder("test");
    let part = |name: &str| Partition::new(name);
    let one = |partition| text(start().partition(partition));
    assert!(one(part("a").guaranteed(1.1)).contains("`partition[0].guaranteed` is 1.1"));
    assert!(one(part("a").guaranteed(f64::NAN)).contains("`partition[0].guaranteed` is NaN"));
    assert!(one(part("a").at_most(0.0)).contains("`partition[0].at_most` is 0.0"));
    assert!(one(part("a").guaranteed(0.5).at_most(0.4)).contains("no less than `guaranteed`, 0.5"));
    assert!(one(part("")).contains("`partition[0].name`"));
    assert!(
        text(start().partition(part("a")).partition(part("a"))).contains("`partition[1].name`")
    );
    let two = start()
        .partition(part("a").guaranteed(0.6))
        .partition(part("b").guaranteed(0.5));
    assert!(text(two).contains("1.1 in all"));
    let many = (0..17).fold(start(), |builder, index| {
        builder.partition(part(&index.to_string()))
    });
    assert!(text(many).contains("at most 16"));
    assert!(
        text(start().priority_share(Priority::Low, 0.0)).contains("`priority_share.low` is 0.0")
    );
    assert!(
        text(start().priority_share(Priority::High, 0.5)).contains("no less than that of a lower")
    );
    let three = start()
        .priority_share(Priority::Low, f64::NAN)
        .priority_share(Priority::Normal, 0.5)
        .priority_share(Priority::High, 0.4);
    let three = text(three);
    assert!(three.contains("`priority_share.low` is NaN"), "{three}");
    assert!(three.contains("`priority_share.high` is 0.4"), "{three}");
    assert!(!three.contains("priority_share.normal"), "{three}");
    let whole = start()
        .max_concurrent(10)
        .partition(part("a").guaranteed(0.3))
        .partition(part("b").guaranteed(0.7));
    assert!(whole.build().is_ok());
    assert!(
        start()
            .max_concurrent(1)
            .build()
            .unwrap()
            .partition("a")
            .is_none()
    );
}

#[tokio::test]
async fn a_call_is_placed_by_its_request() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(2)
        .partition(Partition::new("batch").at_most(0.5))
        .build()
        .unwrap();
    let batch = bulkhead.partition("batch").unwrap().place();
    let live = bulkhead.with_priority(Priority::High).place();
    let service = ServiceBuilder::new()
        .layer(
            BulkheadLayer::new(bulkhead.clone())
                .typed()
                .place_by(move |request: &&str| match *request {
                    "batch" => batch,
                    _ => live,
                }),
        )
        .service(service_fn(async |_: &str| {
            std::future::pending::<Result<(), BoxError>>().await
        }));
    let call = |request: &'static str| task::spawn(service.clone().oneshot(request));
    let mut running = call("batch");
    assert_pending!(running.poll());
    let refused = assert_ready_err!(call("batch").poll());
    assert_eq!(refused.refused().unwrap().reason(), Reason::BulkheadFull);
    let mut other = call("live");
    assert_pending!(other.poll());
    assert!(call("live").poll().is_ready());
    let snapshot = bulkhead.snapshot();
    assert_eq!(snapshot.partitions[0].refused.full, 1);
    assert_eq!(snapshot.priorities[2].admitted, 1);
    drop((running, other));
    assert_eq!(load(&bulkhead), (0, 0));
}

#[test]
fn nobody_is_displaced_for_a_call_that_need_not_wait() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(4)
        .max_queue(1)
        .priority_share(Priority::Low, 0.5)
        .build()
        .unwrap();
    let low = bulkhead.with_priority(Priority::Low);
    let mut permits = take_all(&low);
    let mut waiter = task::spawn(low.acquire());
    assert_pending!(waiter.poll());
    // The queue is full, but two permits are free for whoever has a larger share.
    for handle in [bulkhead.clone(), bulkhead.with_priority(Priority::High)] {
        permits.push(assert_ready_ok!(task::spawn(handle.acquire()).poll()));
    }
    assert_eq!(load(&bulkhead), (4, 1));
    assert_pending!(waiter.poll());
    // Now there is none, and the next one does need the place.
    let mut next = task::spawn(bulkhead.acquire());
    assert_pending!(next.poll());
    let refused = assert_ready_err!(waiter.poll());
    assert_eq!(refused.reason(), Reason::Displaced);
    permits.clear();
    drop(assert_ready_ok!(next.poll()));
    assert_eq!(load(&bulkhead), (0, 0));
}

#[tokio::test]
async fn a_place_that_was_made_from_nothing_has_its_priority_s_share() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(4)
        .priority_share(Priority::Low, 0.25)
        .priority_share(Priority::Normal, 0.5)
        .build()
        .unwrap();
    for place in [
        Place::default(),
        Place::default().with_priority(Priority::Normal),
        bulkhead.place(),
        // Of a bulkhead without shares.
        Bulkhead::builder("other")
            .max_concurrent(1)
            .build()
            .unwrap()
            .place(),
    ] {
        let service = ServiceBuilder::new()
            .layer(
                BulkheadLayer::new(bulkhead.clone())
                    .typed()
                    .place_by(move |(): &()| place),
            )
            .service(service_fn(async |()| {
                std::future::pending::<Result<(), BoxError>>().await
            }));
        let call = || task::spawn(service.clone().oneshot(()));
        let mut running = [call(), call()];
        for call in &mut running {
            assert_pending!(call.poll());
        }
        assert!(
            call().poll().is_ready(),
            "{place:?} has more than its share"
        );
        drop(running);
        assert_eq!(load(&bulkhead), (0, 0));
    }
}

#[test]
fn a_bulkhead_lives_as_long_as_its_last_guaranteed_permit_and_no_longer() {
    let alive = Arc::new(());
    let build = || {
        let held = alive.clone();
        Bulkhead::builder("test")
            .max_concurrent(2)
            .partition(Partition::new("live").guaranteed(0.5))
            .listener(move |_| drop(held.clone()))
            .build()
            .unwrap()
    };
    drop(build());
    assert_eq!(Arc::strong_count(&alive), 1);

    let bulkhead = build();
    let permit = bulkhead.partition("live").unwrap().try_acquire().unwrap();
    drop(bulkhead);
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(permit);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn who_has_precedence_over_those_who_wait_does_not_wait_himself() {
    let bulkhead = Bulkhead::builder("test")
        .max_concurrent(4)
        .max_queue(4)
        .priority_share(Priority::Low, 0.5)
        .build()
        .unwrap();
    let low = bulkhead.with_priority(Priority::Low);
    let _low = [(); 2].map(|()| low.try_acquire().unwrap());
    let mut waiting = task::spawn(low.acquire());
    assert_pending!(waiting.poll());
    let _permit = assert_ready_ok!(task::spawn(bulkhead.acquire()).poll());
    assert_eq!(bulkhead.snapshot().waits.granted, 0, "he has not waited");
}

#[test]
fn a_call_that_need_not_wait_is_admitted_though_the_queue_has_no_place() {
    let (bulkhead, parts) = divided(4, 1, &[(0.0, 0.25)]);
    let _permit = parts[0].try_acquire().unwrap();
    let mut waiter = task::spawn(parts[0].acquire());
    assert_pending!(waiter.poll());
    let _admitted = assert_ready_ok!(task::spawn(bulkhead.acquire()).poll());
    assert_eq!(load(&bulkhead), (2, 1));
}

#[test]
fn a_partition_has_its_part_of_the_queue_and_no_more() {
    let (bulkhead, parts) = divided(1, 4, &[(0.0, 0.5)]);
    let _permit = bulkhead.try_acquire().unwrap();
    let mut waiting = [(); 2].map(|()| task::spawn(parts[0].acquire()));
    for waiter in &mut waiting {
        assert_pending!(waiter.poll());
    }
    let refused = assert_ready_err!(task::spawn(parts[0].acquire()).poll());
    assert_eq!(refused.reason(), Reason::QueueFull);
    assert_pending!(task::spawn(bulkhead.acquire()).poll());
}

type Waiting = task::Spawn<tower_breaker::bulkhead::Acquire>;

// Who had to make room, by his number.
fn displaced(waiting: &[Waiting]) -> Vec<usize> {
    let numbers = 0..waiting.len();
    numbers
        .filter(|number| waiting[*number].is_woken())
        .collect()
}

fn wait(handles: &[&Bulkhead]) -> Vec<Waiting> {
    let mut waiting: Vec<_> = handles
        .iter()
        .map(|handle| task::spawn(handle.acquire()))
        .collect();
    for waiter in &mut waiting {
        assert_pending!(waiter.poll());
    }
    waiting
}

#[test]
fn for_a_partition_that_has_all_its_places_one_of_its_own_makes_room() {
    let (bulkhead, parts) = divided(1, 4, &[(0.0, 0.5)]);
    let _permit = bulkhead.try_acquire().unwrap();
    let low = bulkhead.with_priority(Priority::Low);
    let low_part = parts[0].with_priority(Priority::Low);
    let waiting = wait(&[&low_part, &low_part, &low, &low]);
    let _high = wait(&[&parts[0].with_priority(Priority::High)]);
    // Not the last of all: his place would be of no use.
    assert_eq!(displaced(&waiting), [1]);
}

#[test]
fn who_has_a_guaranteed_place_makes_no_room_and_who_has_borrowed_one_does() {
    let (bulkhead, parts) = divided(1, 4, &[(0.5, 1.0)]);
    let _permits = [take_all(&bulkhead), take_all(&parts[0])];
    let low = bulkhead.with_priority(Priority::Low);
    let low_part = parts[0].with_priority(Priority::Low);
    let high = bulkhead.with_priority(Priority::High);

    let waiting = wait(&[&low, &low, &low_part]);
    let first = wait(&[&high]);
    assert_eq!(displaced(&waiting), [1]);
    drop((waiting, first));

    let waiting = wait(&[&low, &low_part, &low_part, &low_part]);
    let _second = wait(&[&high]);
    assert_eq!(displaced(&waiting), [3]);
}

#[test]
fn what_is_guaranteed_is_given_as_soon_as_all_are_within_a_lowered_limit() {
    let (bulkhead, parts) = divided(8, 4, &[(0.5, 1.0)]);
    let mut running = take_all(&bulkhead);
    assert_eq!(running.len(), 4);
    // As many run as may, none of them in the partition; the pool has two more than its part.
    bulkhead.resize(4).unwrap();
    let mut waiter = task::spawn(parts[0].acquire());
    assert_pending!(waiter.poll());
    drop(running.pop());
    assert!(waiter.is_woken());
    drop(assert_ready_ok!(waiter.poll()));
}

#[test]
fn a_guaranteed_permit_that_comes_back_makes_room_for_another_guarantee() {
    let (bulkhead, parts) = divided(8, 4, &[(0.25, 1.0), (0.25, 1.0)]);
    let mut running = take_all(&bulkhead);
    running.truncate(3);
    let permit = parts[0].try_acquire().unwrap();
    bulkhead.resize(4).unwrap();
    // One is guaranteed, but those who run are as many as may.
    let mut waiter = task::spawn(parts[1].acquire());
    assert_pending!(waiter.poll());
    drop(permit);
    assert!(waiter.is_woken());
    drop(assert_ready_ok!(waiter.poll()));
    drop(running);
    assert_eq!(load(&bulkhead), (0, 0));
}
