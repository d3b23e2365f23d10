//! What is measured.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tower::{Layer, Service, limit::GlobalConcurrencyLimitLayer, timeout::TimeoutLayer};
use tower_breaker::{
    Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer, FailureRate, SlowCallRate,
};

/// Makes a number of calls.
pub type Calls = Box<dyn FnMut(u64) + Send>;

pub struct Case {
    pub name: &'static str,
    pub kind: Kind,
    /// Makes one thread's share: a service of its own over the one guard that all threads share.
    pub thread: Box<dyn Fn() -> Calls>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What everything is compared with.
    Floor,
    /// Part of the results.
    Ours,
    /// Printed beside them, for comparison.
    Context,
}

pub fn all() -> Vec<Case> {
    let forever = Duration::from_secs(24 * 60 * 60);
    // Dev-dependencies switch on tokio's `test-util`, with which tokio's clock asks first whether time is paused. Users do
    // not pay for that, so the clock here is the one that tokio's is without it.
    let breaker = || {
        CircuitBreaker::builder("bench")
            .clock(Instant::now)
            .open_for(forever)
    };
    let consecutive = breaker().consecutive_failures(5).build().unwrap();
    let rate = FailureRate::over_calls(100)
        .threshold(0.5)
        .minimum_calls(20);
    let count = breaker().failure_rate(rate).build().unwrap();
    let slow = SlowCallRate::over_calls(100)
        .slower_than(Duration::from_secs(1))
        .threshold(0.5)
        .minimum_calls(20);
    let count_slow = breaker()
        .failure_rate(rate)
        .slow_call_rate(slow)
        .build()
        .unwrap();
    // So many calls are in the window before the first that is measured, and none of them leaves it meanwhile.
    let time = |calls| {
        let rate = FailureRate::over_time(Duration::from_secs(60 * 60)).minimum_calls(20);
        let breaker = breaker().failure_rate(rate).build().unwrap();
        for _ in 0..calls {
            breaker.try_acquire().unwrap().success();
        }
        breaker
    };
    let open = breaker().consecutive_failures(1).build().unwrap();
    open.try_acquire().unwrap().failure();

    let bulkhead = |limit| {
        Bulkhead::builder("bench")
            .max_concurrent(limit)
            .build()
            .unwrap()
    };
    let free = bulkhead(64);
    let full = bulkhead(1);
    let held = full.try_acquire().unwrap();
    let queueing = Bulkhead::builder("bench")
        .max_concurrent(64)
        .max_queue(64)
        .build()
        .unwrap();

    let typed_breaker =
        |breaker: &CircuitBreaker| CircuitBreakerLayer::new(breaker.clone()).typed();
    let typed_bulkhead = |bulkhead: &Bulkhead| BulkheadLayer::new(bulkhead.clone()).typed();
    let stack = (
        typed_bulkhead(&bulkhead(64)),
        typed_breaker(&breaker().consecutive_failures(5).build().unwrap()),
    );

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    vec![
        floor(),
        ours("bare", || Bare),
        ours(
            "breaker-closed-consecutive",
            layered(typed_breaker(&consecutive)),
        ),
        ours("breaker-closed-count", layered(typed_breaker(&count))),
        ours(
            "breaker-closed-count-slow",
            layered(typed_breaker(&count_slow)),
        ),
        ours(
            "breaker-closed-time-1k",
            layered(typed_breaker(&time(1_000))),
        ),
        ours(
            "breaker-closed-time-10k",
            layered(typed_breaker(&time(10_000))),
        ),
        ours(
            "breaker-closed-time-100k",
            layered(typed_breaker(&time(100_000))),
        ),
        ours("breaker-open", layered(typed_breaker(&open))),
        ours("bulkhead", layered(typed_bulkhead(&free))),
        ours("bulkhead-full", {
            let make = layered(typed_bulkhead(&full));
            move || {
                let _stays_full = &held;
                make()
            }
        }),
        ours("stack-breaker-bulkhead", layered(stack)),
        context(
            "bulkhead, may wait",
            layered(typed_bulkhead(&queueing).waiting()),
        ),
        context(
            "tower-concurrency-limit",
            layered(GlobalConcurrencyLimitLayer::new(64)),
        ),
        in_runtime(
            "tower-timeout",
            runtime,
            layered(TimeoutLayer::new(forever)),
        ),
    ]
}

fn layered<L>(layer: L) -> impl Fn() -> L::Service + 'static
where
    L: Layer<Bare> + 'static,
{
    move || layer.layer(Bare)
}

fn ours<S>(name: &'static str, service: impl Fn() -> S + 'static) -> Case
where
    S: Service<u64> + Send + 'static,
{
    Case {
        name,
        kind: Kind::Ours,
        thread: Box::new(move || calls_to(service())),
    }
}

fn context<S>(name: &'static str, service: impl Fn() -> S + 'static) -> Case
where
    S: Service<u64> + Send + 'static,
{
    Case {
        kind: Kind::Context,
        ..ours(name, service)
    }
}

// For a service that makes timers.
fn in_runtime<S>(
    name: &'static str,
    runtime: tokio::runtime::Runtime,
    service: impl Fn() -> S + 'static,
) -> Case
where
    S: Service<u64> + Send + 'static,
{
    let thread = move || -> Calls {
        let mut calls = calls_to(service());
        let handle = runtime.handle().clone();
        Box::new(move |number| {
            let _entered = handle.enter();
            calls(number);
        })
    };
    Case {
        name,
        kind: Kind::Context,
        thread: Box::new(thread),
    }
}

fn floor() -> Case {
    let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let thread = move || -> Calls {
        let counts = Arc::clone(&counts);
        Box::new(move |number| {
            for _ in 0..number {
                black_box(Instant::now());
                for count in &*counts {
                    black_box(count.fetch_add(1, Ordering::AcqRel));
                }
            }
        })
    };
    Case {
        name: "floor",
        kind: Kind::Floor,
        thread: Box::new(thread),
    }
}

/// Does nothing, at once.
#[derive(Clone)]
struct Bare;

impl Service<u64> for Bare {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

// Polls by hand: an executor would cost more than what is measured.
fn calls_to<S: Service<u64> + Send + 'static>(mut service: S) -> Calls {
    Box::new(move |number| {
        let mut cx = Context::from_waker(Waker::noop());
        for request in 0..number {
            let ready = service.poll_ready(&mut cx);
            assert!(matches!(ready, Poll::Ready(Ok(()))), "not ready");
            let call = pin!(service.call(black_box(request)));
            let outcome = call.poll(&mut cx);
            assert!(outcome.is_ready(), "no answer at the first poll");
            drop(black_box(outcome));
        }
    })
}
