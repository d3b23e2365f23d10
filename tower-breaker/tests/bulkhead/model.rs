//! Any sequence of operations against a plain model. The fuzz target `bulkhead` has the same, by path.

use std::{collections::VecDeque, task::Poll, time::Duration};

use proptest::prelude::*;
use tokio_test::task::{self, Spawn};
use tower_breaker::{Bulkhead, BulkheadPermit, Reason, bulkhead::Acquire};

const MAX_WAIT: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy)]
pub enum Step {
    TryAcquire,
    Acquire,
    Poll(usize),
    Cancel(usize),
    Release(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::TryAcquire),
        4 => Just(Step::Acquire),
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
    granted: u64,
    abandoned: u64,
}

/// The plainest bulkhead: numbers and a list.
#[derive(Debug)]
struct Model {
    max_concurrent: usize,
    max_queue: usize,
    now: u64,
    // Ids of the waiters, and since when they wait.
    line: VecDeque<(usize, u64)>,
    on_its_way: Vec<usize>,
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
        if let Some((id, _)) = self.line.pop_front() {
            self.on_its_way.push(id);
            self.admit();
        }
    }

    /// What polling this waiter gives now: nothing yet, a permit, or a refusal.
    fn poll(&mut self, id: usize) -> Option<Result<(), Reason>> {
        if let Some(at) = self.on_its_way.iter().position(|granted| *granted == id) {
            self.on_its_way.swap_remove(at);
            self.books.granted += 1;
            return Some(Ok(()));
        }
        let at = self
            .line
            .iter()
            .position(|(waiting, _)| *waiting == id)
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
            self.line.retain(|(waiting, _)| *waiting != id);
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
        line: VecDeque::new(),
        on_its_way: Vec::new(),
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
            Step::Acquire => {
                let mut acquire = task::spawn(bulkhead.acquire());
                let polled = acquire.poll();
                if model.has_room() {
                    model.admit();
                    let Poll::Ready(Ok(permit)) = polled else {
                        panic!("not admitted")
                    };
                    permits.push(permit);
                } else if model.line.len() < max_queue {
                    assert!(polled.is_pending());
                    model.line.push_back((id, model.now));
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
            assert!(!model.on_its_way.contains(id) || acquire.is_woken());
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
