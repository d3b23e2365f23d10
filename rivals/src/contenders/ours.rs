//! tower-breaker, with refusals as typed errors.

use tower::layer::Layer as _;
use tower_breaker::{
    Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer, FailureRate,
    breaker::CircuitBreakerBuilder,
};

use super::{CALLS, Contender, FOREVER, MINIMUM, RATE, contender};
use crate::{
    entry::{Role, Work},
    work::{Bare, Case, Kind},
};

pub fn all() -> Vec<Contender> {
    let consecutive = builder().consecutive_failures(5).build().unwrap();
    let count = builder().failure_rate(over_calls()).build().unwrap();
    let open = builder().consecutive_failures(1).build().unwrap();
    open.try_acquire().unwrap().failure();

    let bulkhead = Bulkhead::builder("rivals")
        .max_concurrent(64)
        .build()
        .unwrap();
    let bulkhead = BulkheadLayer::new(bulkhead).typed();
    let mut all = vec![
        ours(
            Work::Consecutive,
            "",
            breaker("tower-breaker consecutive", consecutive),
        ),
        ours(Work::Count, "", breaker("tower-breaker count", count)),
        ours(Work::Refusal, "", breaker("tower-breaker open", open)),
        ours(
            Work::Limit,
            "bulkhead",
            Case::new("tower-breaker bulkhead", Kind::Ours, move || {
                bulkhead.layer(Bare)
            }),
        ),
    ];
    all.extend(over_time::all());
    all
}

fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("rivals").open_for(FOREVER)
}

fn over_calls() -> FailureRate {
    FailureRate::over_calls(CALLS)
        .threshold(RATE)
        .minimum_calls(MINIMUM)
}

fn breaker(name: &'static str, breaker: CircuitBreaker) -> Case {
    let layer = CircuitBreakerLayer::new(breaker).typed();
    Case::new(name, Kind::Ours, move || layer.layer(Bare))
}

fn ours(work: Work, note: &'static str, case: Case) -> Contender {
    contender(work, Role::Ours, "tower-breaker", note, case)
}

#[cfg(not(feature = "over-time"))]
mod over_time {
    pub fn all() -> Vec<super::Contender> {
        Vec::new()
    }
}

#[cfg(feature = "over-time")]
mod over_time {
    use std::time::Duration;

    use tower_breaker::SlowCallRate;

    use super::{super::WINDOW, *};
    use crate::work::calls_to;

    pub fn all() -> Vec<Contender> {
        let slow = SlowCallRate::over_calls(CALLS)
            .slower_than(Duration::from_secs(1))
            .threshold(RATE)
            .minimum_calls(MINIMUM);
        let slow = builder()
            .failure_rate(over_calls())
            .slow_call_rate(slow)
            .build()
            .unwrap();
        vec![
            ours(
                Work::CountAndSlow,
                "",
                breaker("tower-breaker count and slow", slow),
            ),
            filled(Work::Time1k, "tower-breaker time 1k", 1_000),
            filled(Work::Time10k, "tower-breaker time 10k", 10_000),
            filled(Work::Time100k, "tower-breaker time 100k", 100_000),
        ]
    }

    // What is in the window grows while it is measured: it must not matter.
    fn filled(work: Work, name: &'static str, calls: u64) -> Contender {
        let rate = FailureRate::over_time(WINDOW)
            .threshold(RATE)
            .minimum_calls(MINIMUM);
        let time = builder().failure_rate(rate).build().unwrap();
        let layer = CircuitBreakerLayer::new(time.clone()).typed();
        calls_to(layer.layer(Bare))(calls);
        ours(work, "", breaker(name, time))
    }
}
