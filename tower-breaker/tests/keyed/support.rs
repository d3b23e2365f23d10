//! Registries to test.

use tower_breaker::{
    Bulkhead, CircuitBreaker, Keyed, breaker::CircuitBreakerBuilder, keyed::KeyedBuilder,
};

/// Opens after three failures in a row.
pub fn breaker(name: &str) -> CircuitBreakerBuilder {
    CircuitBreaker::builder(name).consecutive_failures(3)
}

pub fn breakers(capacity: usize) -> Keyed<String, CircuitBreaker> {
    builder(capacity).build().unwrap()
}

pub fn builder(capacity: usize) -> KeyedBuilder<String, CircuitBreaker> {
    Keyed::breakers(|key: &String| breaker(key))
        .overflow(breaker("overflow"))
        .capacity(capacity)
}

pub fn bulkheads(capacity: usize, calls: usize) -> Keyed<String, Bulkhead> {
    Keyed::bulkheads(move |key: &String| {
        Bulkhead::builder(key.as_str())
            .max_concurrent(calls)
            .max_queue(calls)
    })
    .overflow(Bulkhead::builder("overflow").max_concurrent(calls))
    .capacity(capacity)
    .build()
    .unwrap()
}

/// The keys that have an entry, in order.
pub fn keys(registry: &Keyed<String, CircuitBreaker>) -> Vec<String> {
    let mut keys: Vec<_> = registry.iter().map(|entry| entry.key).collect();
    keys.sort();
    keys
}
