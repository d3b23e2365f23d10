//! The main paths of a call, each for callgrind to count: `.ci/instructions` runs them and compares the counts with
//! `baseline.json`. The work is that of `tower-breaker/benches/overhead`: readiness, call, polling to the outcome.

#[path = "../../tower-breaker/benches/overhead/work.rs"]
mod work;

use std::{hint::black_box, time::Duration};

use gungraun::prelude::*;
use tower::Layer;
use tower_breaker::{
    Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer, FailureRate, SlowCallRate,
    breaker::CircuitBreakerBuilder,
};
use work::{Bare, Calls, calls_to};

/// A power of ten, so that the counts that gungraun prints can be read as counts per call.
const CALLS: u64 = 1_000;

const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("instructions").open_for(FOREVER)
}

fn over_calls() -> FailureRate {
    FailureRate::over_calls(100)
        .threshold(0.5)
        .minimum_calls(20)
}

// What only the first calls do (a thread's place in the counters, a half empty window) is over when counting starts.
fn warm(mut calls: Calls) -> Calls {
    calls(200);
    calls
}

fn of(breaker: CircuitBreaker) -> Calls {
    warm(calls_to(
        CircuitBreakerLayer::new(breaker).typed().layer(Bare),
    ))
}

fn bare() -> Calls {
    warm(calls_to(Bare))
}

fn consecutive() -> Calls {
    of(builder().consecutive_failures(5).build().unwrap())
}

fn count() -> Calls {
    of(builder().failure_rate(over_calls()).build().unwrap())
}

fn count_and_slow() -> Calls {
    let slow = SlowCallRate::over_calls(100)
        .slower_than(Duration::from_secs(60 * 60))
        .threshold(0.5)
        .minimum_calls(20);
    of(builder()
        .failure_rate(over_calls())
        .slow_call_rate(slow)
        .build()
        .unwrap())
}

// Under valgrind the slices of a shorter window could end while it counts.
fn time() -> Calls {
    let rate = FailureRate::over_time(FOREVER)
        .threshold(0.5)
        .minimum_calls(20);
    of(builder().failure_rate(rate).build().unwrap())
}

fn open() -> Calls {
    let breaker = builder().consecutive_failures(1).build().unwrap();
    breaker.try_acquire().unwrap().failure();
    of(breaker)
}

fn bulkhead() -> Calls {
    let bulkhead = Bulkhead::builder("instructions")
        .max_concurrent(64)
        .build()
        .unwrap();
    warm(calls_to(BulkheadLayer::new(bulkhead).typed().layer(Bare)))
}

#[library_benchmark]
#[bench::bare(bare())]
#[bench::closed_consecutive(consecutive())]
#[bench::closed_count(count())]
#[bench::closed_count_and_slow(count_and_slow())]
#[bench::closed_time(time())]
#[bench::open_refusal(open())]
#[bench::bulkhead(bulkhead())]
fn calls(mut calls: Calls) -> Calls {
    calls(black_box(CALLS));
    calls
}

library_benchmark_group!(name = paths, benchmarks = [calls]);
main!(library_benchmark_groups = paths);
