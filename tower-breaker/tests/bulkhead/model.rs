//! Any sequence of operations against a plain model. The fuzz target `bulkhead` has the same, by path.

use std::{task::Poll, time::Duration};

use proptest::prelude::*;
use tokio_test::task::{self, Spawn};
use tower_breaker::{
    Bulkhead, BulkheadPermit, Reason,
    bulkhead::{Acquire, Priority},
};

const MAX_WAIT: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy)]
pub enum Step {
    TryAcquire,
    Acquire(Priority),
    Resize(usize),
    Poll(usize),
    Cancel(usize),
    Release(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::TryAcquire),
        4 => prop::sample::select(Priority::ALL.to_vec()).prop_map(Step::Acquire),
        1 => (1..5_usize).prop_map(Step::Resize),
        3 => any::<usize>().prop_map(Step::Poll),
        2 => any::<usize>().prop_map(Step::Cancel),
        4 => any::<usize>().prop_map(Step::Release),
        1 => (1..12_u64).prop_map(Step::Wait),
    ]
}

/// What the books should say.
#[derive(Debug, Default, PartialEq)]
struct Books {
    in_flight: usize,
    queued: usize,
    admitted: u64,
    full: u64,
    queue_full: u64,
    waited_too_long: u64,
    displaced: u64,
    granted: u64,
    abandoned: u64,
}

/// The plainest bulkhead: numbers and a list.
#[derive(Debug)]
struct Model {
    max_concurrent: usize,
    max_queue: usize,
    now: u64,
    // Ids of the waiters, since when they wait, and how important they are.
    line: Vec<(usize, u64, Priority)>,
    on_its_way: Vec<usize>,
    sent_away: Vec<usize>,
    books: Books,
}

impl Model {
    fn has_room(&self) -> bool {
        self.books.in_flight < self.max_concurrent
    }

    fn admit(&mut self) {
        self.books.in_flight += 1;
        self.books.admitted += 1;
    }

    fn release(&mut self) {
        self.books.in_flight -= 1;
        self.serve();
    }

    // The first of the most important ones, as long as there is a permit.
    fn serve(&mut self) {
        while self.has_room()
            && let Some(highest) = self.line.iter().map(|(.., priority)| *priority).max()
        {
            let first = self
                .line
                .iter()
                .position(|(.., priority)| *priority == highest);
            let (id, ..) = self.line.remove(first.unwrap());
            self.on_its_way.push(id);
            self.admit();
        }
    }

    /// Whether it finds a place, be it that of a less important one.
    fn queue(&mut self, id: usize, priority: Priority) -> bool {
        if self.max_queue == 0 {
            return false;
        }
        if self.line.len() == self.max_queue {
            let lowest = self
                .line
                .iter()
                .map(|(.., priority)| *priority)
                .min()
                .unwrap();
            if lowest >= priority {
                return false;
            }
            let last = self
                .line
                .iter()
                .rposition(|(.., priority)| *priority == lowest);
            let (id, ..) = self.line.remove(last.unwrap());
            self.sent_away.push(id);
        }
        self.line.push((id, self.now, priority));
        true
    }

    /// What polling this waiter gives now: nothing yet, a permit, or a refusal.
    fn poll(&mut self, id: usize) -> Option<Result<(), Reason>> {
        if let Some(at) = self.on_its_way.iter().position(|granted| *granted == id) {
            self.on_its_way.swap_remove(at);
            self.books.granted += 1;
            return Some(Ok(()));
        }
        if let Some(at) = self.sent_away.iter().position(|sent| *sent == id) {
            self.sent_away.swap_remove(at);
            self.books.displaced += 1;
            return Some(Err(Reason::Displaced));
        }
        let at = self
            .line
            .iter()
            .position(|(waiting, ..)| *waiting == id)
            .unwrap();
        if self.now - self.line[at].1 < MAX_WAIT.as_millis() as u64 {
            return None;
        }
        self.line.remove(at);
        self.books.waited_too_long += 1;
        Some(Err(Reason::WaitedTooLong))
    }

    fn cancel(&mut self, id: usize) {
        self.books.abandoned += 1;
        if let Some(at) = self.on_its_way.iter().position(|granted| *granted == id) {
            self.on_its_way.swap_remove(at);
            self.release();
        } else {
            self.line.retain(|(waiting, ..)| *waiting != id);
            self.sent_away.retain(|sent| *sent != id);
        }
    }

    fn books(&mut self) -> &Books {
        self.books.queued = self.line.len();
        &self.books
    }
}

fn books(bulkhead: &Bulkhead) -> Books {
    let snapshot = bulkhead.snapshot();
    Books {
        in_flight: snapshot.in_flight,
        queued: snapshot.queued,
        admitted: snapshot.admitted,
        full: snapshot.refused.full,
        queue_full: snapshot.refused.queue_full,
        waited_too_long: snapshot.refused.waited_too_long,
        displaced: snapshot.refused.displaced,
        granted: snapshot.waits.granted,
        abandoned: snapshot.waits.abandoned,
    }
}

pub async fn run(max_concurrent: usize, max_queue: usize, steps: Vec<Step>) {
    let mut builder = Bulkhead::builder("test")
        .max_concurrent(max_concurrent)
        .max_queue(max_queue);
    if max_queue > 0 {
        builder = builder.max_wait(MAX_WAIT);
    }
    let bulkhead = builder.build().unwrap();
    let mut model = Model {
        max_concurrent,
        max_queue,
        now: 0,
        line: Vec::new(),
        on_its_way: Vec::new(),
        sent_away: Vec::new(),
        books: Books::default(),
    };
    let mut permits: Vec<BulkheadPermit> = Vec::new();
    let mut waiters: Vec<(usize, Spawn<Acquire>)> = Vec::new();

    for (id, step) in steps.into_iter().enumerate() {
        match step {
            Step::TryAcquire => {
                let result = bulkhead.try_acquire();
                assert_eq!(result.is_ok(), model.has_room());
                match result {
                    Ok(permit) => {
                        model.admit();
                        permits.push(permit);
                    }
                    Err(_) => model.books.full += 1,
                }
            }
            Step::Resize(to) => {
                bulkhead.resize(to).unwrap();
                model.max_concurrent = to;
                model.serve();
            }
            Step::Acquire(priority) => {
                let handle = bulkhead.with_priority(priority);
                let mut acquire = task::spawn(handle.acquire());
                let polled = acquire.poll();
                if model.has_room() {
                    model.admit();
                    let Poll::Ready(Ok(permit)) = polled else {
                        panic!("not admitted")
                    };
                    permits.push(permit);
                } else if model.queue(id, priority) {
                    assert!(polled.is_pending());
                    waiters.push((id, acquire));
                } else {
                    let Poll::Ready(Err(refused)) = polled else {
                        panic!("not refused")
                    };
                    let (reason, count) = match max_queue {
                        0 => (Reason::BulkheadFull, &mut model.books.full),
                        _ => (Reason::QueueFull, &mut model.books.queue_full),
                    };
                    *count += 1;
                    assert_eq!(refused.reason(), reason);
                }
            }
            Step::Poll(which) if !waiters.is_empty() => {
                let at = which % waiters.len();
                let expected = model.poll(waiters[at].0);
                match (waiters[at].1.poll(), expected) {
                    (Poll::Pending, None) => {}
                    (Poll::Ready(Ok(permit)), Some(Ok(()))) => {
                        permits.push(permit);
                        drop(waiters.remove(at));
                    }
                    (Poll::Ready(Err(refused)), Some(Err(reason)))
                        if refused.reason() == reason =>
                    {
                        drop(waiters.remove(at));
                    }
                    (got, expected) => panic!("{got:?} instead of {expected:?}"),
                }
            }
            Step::Cancel(which) if !waiters.is_empty() => {
                let (id, acquire) = waiters.remove(which % waiters.len());
                drop(acquire);
                model.cancel(id);
            }
            Step::Release(which) if !permits.is_empty() => {
                drop(permits.swap_remove(which % permits.len()));
                model.release();
            }
            Step::Wait(millis) => {
                tokio::time::advance(Duration::from_millis(millis)).await;
                model.now += millis;
            }
            Step::Poll(_) | Step::Cancel(_) | Step::Release(_) => {}
        }
        // Whoever has been given a permit has been woken for it.
        for (id, acquire) in &waiters {
            let is_answered = model.on_its_way.contains(id) || model.sent_away.contains(id);
            assert!(!is_answered || acquire.is_woken());
        }
        assert_eq!(books(&bulkhead), *model.books());
        assert!(model.line.len() <= model.max_queue);
    }
    drop((permits, waiters));
    let end = bulkhead.snapshot();
    assert_eq!((end.in_flight, end.queued), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_the_model(
        max_concurrent in 1..4_usize,
        max_queue in 0..4_usize,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(run(max_concurrent, max_queue, steps));
    }
}

/// Two partitions and those who are in none, without a queue: who may have a permit.
struct Divided {
    limit: usize,
    // Of the two partitions: guaranteed and at most, in tenths.
    shares: [(usize, usize); 2],
    // In no partition, and in each.
    running: [usize; 3],
}

impl Divided {
    fn guaranteed(&self, partition: usize) -> usize {
        self.limit * self.shares[partition].0 / 10
    }

    fn borrowed(&self) -> usize {
        let beyond = |partition: usize| {
            self.running[partition + 1].saturating_sub(self.guaranteed(partition))
        };
        self.running[0] + beyond(0) + beyond(1)
    }

    fn admits(&self, row: usize) -> bool {
        let common = self.limit - self.guaranteed(0) - self.guaranteed(1);
        if self.running.iter().sum::<usize>() >= self.limit {
            return false;
        }
        let Some(partition) = row.checked_sub(1) else {
            return self.borrowed() < common;
        };
        let at_most = (self.limit * self.shares[partition].1).div_ceil(10).max(1);
        let running = self.running[row];
        running < at_most.max(self.guaranteed(partition))
            && (running < self.guaranteed(partition) || self.borrowed() < common)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn partitions_behave_like_the_model(
        shares in (0..6_usize, 0..6_usize, 1..11_usize, 1..11_usize),
        limit in 1..12_usize,
        // Where a call comes from, or which one ends, or a new limit.
        steps in prop::collection::vec((0..6_usize, any::<usize>()), 1..200),
    ) {
        let shares = [(shares.0.min(5), shares.2.max(shares.0)), (shares.1.min(5), shares.3.max(shares.1))];
        let mut builder = Bulkhead::builder("test").max_concurrent(limit);
        for (name, (guaranteed, at_most)) in ["a", "b"].into_iter().zip(shares) {
            let tenths = |share: usize| share as f64 / 10.0;
            let partition = tower_breaker::bulkhead::Partition::new(name);
            builder = builder.partition(partition.guaranteed(tenths(guaranteed)).at_most(tenths(at_most)));
        }
        let bulkhead = builder.build().unwrap();
        let handles = [
            bulkhead.clone(),
            bulkhead.partition("a").unwrap(),
            bulkhead.partition("b").unwrap(),
        ];
        let mut model = Divided { limit, shares, running: [0; 3] };
        let mut permits: Vec<(usize, BulkheadPermit)> = Vec::new();
        for (step, number) in steps {
            match step {
                row @ 0..3 => {
                    let permit = handles[row].try_acquire();
                    prop_assert_eq!(permit.is_ok(), model.admits(row));
                    if let Ok(permit) = permit {
                        model.running[row] += 1;
                        permits.push((row, permit));
                    }
                }
                3 | 4 if !permits.is_empty() => {
                    let (row, _) = permits.swap_remove(number % permits.len());
                    model.running[row] -= 1;
                }
                5 => {
                    model.limit = 1 + number % 11;
                    bulkhead.resize(model.limit).unwrap();
                }
                _ => {}
            }
            let snapshot = bulkhead.snapshot();
            let found = [snapshot.partitions[0].in_flight, snapshot.partitions[1].in_flight];
            prop_assert_eq!(found, [model.running[1], model.running[2]]);
            prop_assert_eq!(snapshot.in_flight, model.running.iter().sum::<usize>());
        }
        drop(permits);
        prop_assert_eq!(bulkhead.snapshot().in_flight, 0);
    }
}
