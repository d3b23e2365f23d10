//! Any text as a configuration, and any values for the builder. Nothing panics. What is read is written and read again as the
//! same. A builder either builds a circuit that works, or names what is wrong: each option that is out of its range, and none
//! that is within.
#![no_main]

mod values;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use tower_breaker::{
    BuildError,
    breaker::{CircuitBreakerBuilder, CircuitBreakerConfig},
    bulkhead::BulkheadConfig,
};

use values::Values;

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Toml(&'a str),
    Json(&'a str),
    Values(Box<Values>),
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::Toml(text) => {
            if let Ok(config) = toml::from_str(text) {
                check(&config);
            }
            if let Ok(config) = toml::from_str(text) {
                check_bulkhead(&config);
            }
        }
        Input::Json(text) => {
            if let Ok(config) = serde_json::from_str(text) {
                check(&config);
            }
            if let Ok(config) = serde_json::from_str(text) {
                check_bulkhead(&config);
            }
        }
        Input::Values(values) => values.check(),
    }
});

fn check(config: &CircuitBreakerConfig) {
    // What does not build need not be writable: JSON has no infinity, for one.
    if builds(config.builder("fuzz")) {
        check_written(config);
    }
}

fn check_written<C>(config: &C)
where
    C: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let toml = toml::to_string(config).expect("what builds can be written as TOML");
    let read: C = toml::from_str(&toml).expect(&toml);
    assert_eq!(&read, config, "{toml}");
    let json = serde_json::to_string(config).expect("what builds can be written as JSON");
    let read: C = serde_json::from_str(&json).expect(&json);
    assert_eq!(&read, config, "{json}");
}

fn check_bulkhead(config: &BulkheadConfig) {
    let builder = config.builder("fuzz");
    let shown = format!("{builder:?}");
    match builder.build() {
        Ok(bulkhead) => {
            drop(bulkhead.try_acquire().expect(&shown));
            assert_eq!(bulkhead.snapshot().in_flight, 0, "{shown}");
            check_written(config);
        }
        Err(error) => check_problems(&error, &shown),
    }
}

fn check_problems(error: &BuildError, shown: &str) {
    assert!(!error.problems().is_empty(), "{shown}");
    for problem in error.problems() {
        assert!(!problem.option().is_empty(), "{shown}");
        assert!(!problem.allowed().is_empty(), "{shown}");
        assert!(error.to_string().contains(problem.option()), "{error}");
    }
}

// Whether it builds. If so, the circuit works; if not, it says why.
fn builds(builder: CircuitBreakerBuilder) -> bool {
    // Shown before it is used up.
    let shown = format!("{builder:?}");
    let breaker = match builder.build() {
        Ok(breaker) => breaker,
        Err(error) => {
            check_problems(&error, &shown);
            return false;
        }
    };
    for _ in 0..3 {
        if let Ok(permit) = breaker.try_acquire() {
            permit.failure();
        }
        if let Ok(permit) = breaker.try_acquire() {
            permit.success();
        }
        breaker.half_open();
    }
    let snapshot = breaker.snapshot();
    let ended = snapshot.succeeded + snapshot.failed;
    assert_eq!(snapshot.admitted, ended, "{shown}");
    true
}
