//! What is measured.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tower::{Layer, Service, limit::GlobalConcurrencyLimitLayer, timeout::TimeoutLayer};
use tower_breaker::{
    Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer, FailureRate, FallbackLayer,
    Keyed, KeyedLayer, SlowCallRate, Throttle, ThrottleLayer,
    breaker::{CircuitBreakerBuilder, QuantaClock},
    bulkhead::{
        Partition, Priority,
        limit::{Aimd, Algorithm, Gradient2, Vegas},
    },
    classify::Overload,
    keyed::by,
};

use crate::bodies;
use crate::work::{Bare, Case, Kind, floor, in_runtime, layered};

pub fn all() -> Vec<Case> {
    let forever = Duration::from_secs(24 * 60 * 60);
    // Where the clock is read, the case is measured with the cheaper one, and once more with the system's.
    let counter = QuantaClock::new();
    let breaker = || {
        CircuitBreaker::builder("bench")
            .clock(counter.clone())
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
    let count_slow = |breaker: CircuitBreakerBuilder| {
        breaker
            .failure_rate(rate)
            .slow_call_rate(slow)
            .build()
            .unwrap()
    };
    // So many calls are in the window before the first that is measured, and none of them leaves it meanwhile.
    let time = |breaker: CircuitBreakerBuilder, calls| {
        let rate = FailureRate::over_time(Duration::from_secs(60 * 60)).minimum_calls(20);
        let breaker = breaker.failure_rate(rate).build().unwrap();
        for _ in 0..calls {
            breaker.try_acquire().unwrap().success();
        }
        breaker
    };
    let open = |breaker: CircuitBreakerBuilder| {
        let open = breaker.consecutive_failures(1).build().unwrap();
        open.try_acquire().unwrap().failure();
        open
    };
    // Dev-dependencies switch on tokio's `test-util`, with which tokio's clock asks first whether time is paused. Users do
    // not pay for that, so this is the one that tokio's, the default, is without it.
    let with_the_systems = || breaker().clock(Instant::now);

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

    // Of the 64, half are guaranteed to one partition; the other one has to borrow.
    let divided = Bulkhead::builder("bench")
        .max_concurrent(64)
        .partition(Partition::new("own").guaranteed(0.5))
        .partition(Partition::new("borrows"))
        .partition(Partition::new("full").at_most(0.01))
        .build()
        .unwrap();
    let in_partition = |name| divided.partition(name).unwrap();
    let held_in_partition = in_partition("full").try_acquire().unwrap();
    let shared = Bulkhead::builder("bench")
        .max_concurrent(64)
        .priority_share(Priority::Low, 0.5)
        .build()
        .unwrap();

    let adaptive = |algorithm: Box<dyn Algorithm>, quick: bool| {
        let adaptive = Bulkhead::builder("bench").adaptive(algorithm);
        let bulkhead = match quick {
            true => adaptive.clock(counter.clone()).build().unwrap(),
            false => adaptive.clock(Instant::now).build().unwrap(),
        };
        BulkheadLayer::new(bulkhead).typed().classify(Overload)
    };
    let aimd = || Box::new(Aimd::builder().build().unwrap());
    let gradient2 = || Box::new(Gradient2::builder().build().unwrap());
    let vegas = || Box::new(Vegas::builder().build().unwrap());

    let typed_breaker =
        |breaker: &CircuitBreaker| CircuitBreakerLayer::new(breaker.clone()).typed();
    let typed_bulkhead = |bulkhead: &Bulkhead| BulkheadLayer::new(bulkhead.clone()).typed();
    let stack = (
        typed_bulkhead(&bulkhead(64)),
        typed_breaker(&breaker().consecutive_failures(5).build().unwrap()),
    );

    let throttle = || {
        Throttle::builder("bench")
            .clock(counter.clone())
            .max_probability(1.0)
            .build()
            .unwrap()
    };
    let (sending, throttling) = (throttle(), throttle());
    // All at once, before any of it is known: then nearly all calls are refused, for two minutes.
    let failing: Vec<_> = (0..100_000)
        .map(|_| throttling.try_acquire().unwrap())
        .collect();
    for permit in failing {
        permit.failure();
    }
    let typed_throttle = |throttle: &Throttle| ThrottleLayer::new(throttle.clone()).typed();
    let stack_to_the_end = (
        typed_bulkhead(&bulkhead(64)).until_end_of_body(),
        typed_breaker(&breaker().consecutive_failures(5).build().unwrap()).until_end_of_body(),
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
            layered(typed_breaker(&count_slow(breaker()))),
        ),
        ours(
            "breaker-closed-count-slow-system-clock",
            layered(typed_breaker(&count_slow(with_the_systems()))),
        ),
        ours(
            "breaker-closed-time-1k",
            layered(typed_breaker(&time(breaker(), 1_000))),
        ),
        ours(
            "breaker-closed-time-10k",
            layered(typed_breaker(&time(breaker(), 10_000))),
        ),
        ours(
            "breaker-closed-time-100k",
            layered(typed_breaker(&time(breaker(), 100_000))),
        ),
        ours(
            "breaker-closed-time-1k-system-clock",
            layered(typed_breaker(&time(with_the_systems(), 1_000))),
        ),
        ours("breaker-open", layered(typed_breaker(&open(breaker())))),
        ours(
            "breaker-open-system-clock",
            layered(typed_breaker(&open(with_the_systems()))),
        ),
        ours("bulkhead", layered(typed_bulkhead(&free))),
        ours("bulkhead-full", {
            let make = layered(typed_bulkhead(&full));
            move || {
                let _stays_full = &held;
                make()
            }
        }),
        ours("adaptive-aimd", layered(adaptive(aimd(), true))),
        ours("adaptive-gradient2", layered(adaptive(gradient2(), true))),
        ours("adaptive-vegas", layered(adaptive(vegas(), true))),
        ours(
            "adaptive-aimd-system-clock",
            layered(adaptive(aimd(), false)),
        ),
        ours(
            "adaptive-gradient2-system-clock",
            layered(adaptive(gradient2(), false)),
        ),
        ours(
            "adaptive-vegas-system-clock",
            layered(adaptive(vegas(), false)),
        ),
        ours("stack-breaker-bulkhead", layered(stack)),
        Case::of_calls("bare-body", Kind::Ours, || {
            bodies::calls_to(bodies::BareHttp)
        }),
        Case::of_calls(
            "stack-breaker-bulkhead-body",
            Kind::Ours,
            bodies::layered(stack_to_the_end),
        ),
        keyed("keyed-10k", Kind::Ours, 10_000, false),
        keyed("keyed-1", Kind::Context, 1, false),
        keyed("keyed-1, striped", Kind::Context, 1, true),
        keyed("keyed-100", Kind::Context, 100, false),
        context(
            "bulkhead, may wait",
            layered(typed_bulkhead(&queueing).waiting()),
        ),
        context(
            "bulkhead, guaranteed in a partition",
            layered(typed_bulkhead(&in_partition("own"))),
        ),
        context(
            "bulkhead, borrowed by a partition",
            layered(typed_bulkhead(&in_partition("borrows"))),
        ),
        context("bulkhead, full partition", {
            let make = layered(typed_bulkhead(&in_partition("full")));
            move || {
                let _stays_full = &held_in_partition;
                make()
            }
        }),
        context(
            "bulkhead, priority",
            layered(typed_bulkhead(&free.with_priority(Priority::High))),
        ),
        context(
            "bulkhead, priority with a share",
            layered(typed_bulkhead(&shared.with_priority(Priority::Low))),
        ),
        context("throttle", layered(typed_throttle(&sending))),
        context("throttle, refusing", layered(typed_throttle(&throttling))),
        context(
            "fallback, not needed",
            layered(FallbackLayer::new("bench").value(0_u64)),
        ),
        context(
            "tower-concurrency-limit",
            layered(GlobalConcurrencyLimitLayer::new(64)),
        ),
        // It makes timers.
        in_runtime(
            &runtime.into(),
            context("tower-timeout", layered(TimeoutLayer::new(forever))),
        ),
    ]
}

/// A circuit for each of so many hosts, all of which have been called before, and are called by turns in an order of chance that is
/// always the same; each thread begins elsewhere. The circuits have a rule about failures in a row, as `breaker-closed-consecutive` has.
fn keyed(name: &'static str, kind: Kind, hosts: usize, striped: bool) -> Case {
    let breakers = Keyed::breakers(|host: &String| {
        CircuitBreaker::builder(host.as_str()).consecutive_failures(5)
    })
    .overflow(CircuitBreaker::builder("overflow").consecutive_failures(5))
    .capacity(hosts);
    let breakers = if striped {
        breakers.striped()
    } else {
        breakers
    };
    let breakers = breakers.build().unwrap();
    let mut names: Vec<String> = (0..hosts)
        .map(|host| format!("host-{host:05}.example"))
        .collect();
    // Fisher and Yates, with Knuth's linear congruential generator.
    let mut chance = 1_u64;
    for at in (1..hosts).rev() {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        names.swap(at, (chance >> 33) as usize % (at + 1));
    }
    for name in &names {
        breakers.try_acquire(name.as_str()).unwrap().success();
    }
    // One after the other in memory: the key of a request that has just been read is in the processor's cache.
    let length = names[0].len();
    let names: &'static str = names.concat().leak();
    let threads = AtomicUsize::new(0);
    Case::new(name, kind, move || {
        let begin = threads.fetch_add(1, Ordering::Relaxed) * 3_333;
        let host = by::part(move |request: &u64| {
            let at = (begin + *request as usize) % hosts * length;
            Some(&names[at..at + length])
        });
        KeyedLayer::new(breakers.clone(), host).typed().layer(Bare)
    })
}

fn ours<S>(name: &'static str, service: impl Fn() -> S + 'static) -> Case
where
    S: Service<u64> + Send + 'static,
{
    Case::new(name, Kind::Ours, service)
}

fn context<S>(name: &'static str, service: impl Fn() -> S + 'static) -> Case
where
    S: Service<u64> + Send + 'static,
{
    Case::new(name, Kind::Context, service)
}
