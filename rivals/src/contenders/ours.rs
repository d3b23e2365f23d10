//! tower-breaker, with refusals as typed errors.

use std::time::Duration;

use tower::layer::Layer as _;
use tower_breaker::{
    Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer, FailureRate, SlowCallRate,
    breaker::CircuitBreakerBuilder,
};

use super::{CALLS, Contender, FOREVER, MINIMUM, RATE, WINDOW, contender};
use crate::{
    entry::{Role, Work},
    work::{Bare, Case, Kind, calls_to},
};

pub fn all() -> Vec<Contender> {
    let over_calls = FailureRate::over_calls(CALLS)
        .threshold(RATE)
        .minimum_calls(MINIMUM);
    let slow = SlowCallRate::over_calls(CALLS)
        .slower_than(Duration::from_secs(1))
        .threshold(RATE)
        .minimum_calls(MINIMUM);

    let consecutive = builder().consecutive_failures(5);
    let count = builder().failure_rate(over_calls);
    let count_and_slow = builder().failure_rate(over_calls).slow_call_rate(slow);
    let open = builder().consecutive_failures(1).build().unwrap();
    open.try_acquire().unwrap().failure();
    vec![
        breaker(
            Work::Consecutive,
            "tower-breaker consecutive",
            consecutive.build().unwrap(),
        ),
        breaker(Work::Count, "tower-breaker count", count.build().unwrap()),
        breaker(
            Work::CountAndSlow,
            "tower-breaker count and slow",
            count_and_slow.build().unwrap(),
        ),
        over_time(Work::Time1k, "tower-breaker time 1k", 1_000),
        over_time(Work::Time10k, "tower-breaker time 10k", 10_000),
        over_time(Work::Time100k, "tower-breaker time 100k", 100_000),
        breaker(Work::Refusal, "tower-breaker open", open),
        bulkhead(),
    ]
}

fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("rivals").open_for(FOREVER)
}

// What is in the window grows while it is measured: it must not matter.
fn over_time(work: Work, name: &'static str, calls: u64) -> Contender {
    let rate = FailureRate::over_time(WINDOW)
        .threshold(RATE)
        .minimum_calls(MINIMUM);
    let time = builder().failure_rate(rate).build().unwrap();
    let layer = CircuitBreakerLayer::new(time.clone()).typed();
    calls_to(layer.layer(Bare))(calls);
    breaker(work, name, time)
}

fn breaker(work: Work, name: &'static str, breaker: CircuitBreaker) -> Contender {
    let layer = CircuitBreakerLayer::new(breaker).typed();
    let case = Case::new(name, Kind::Ours, move || layer.layer(Bare));
    contender(work, Role::Ours, "tower-breaker", "", case)
}

fn bulkhead() -> Contender {
    let bulkhead = Bulkhead::builder("rivals")
        .max_concurrent(64)
        .build()
        .unwrap();
    let layer = BulkheadLayer::new(bulkhead).typed();
    let case = Case::new("tower-breaker bulkhead", Kind::Ours, move || {
        layer.layer(Bare)
    });
    contender(Work::Limit, Role::Ours, "tower-breaker", "bulkhead", case)
}
