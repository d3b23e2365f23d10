//! The guards of one upstream.

use super::events;
use crate::config::Section;
use std::time::Duration;
use tower_breaker::breaker::CircuitBreakerBuilder;
use tower_breaker::{Abandoned, BuildError, Bulkhead, CircuitBreaker, FailureRate};

/// The guards of one upstream, built and named after it. What is absent from the configuration is `None`: no guard.
///
/// | key | meaning |
/// |---|---|
/// | `timeout` | bound for one call |
/// | `[bulkhead]` `max_concurrent`, `max_queue`, `max_wait` | calls running, calls waiting, how long they wait |
/// | `[breaker]` `consecutive_failures` | opens after so many failures in a row |
/// | `[breaker]` `failure_rate = { window, threshold, minimum_calls }` | opens at such a share of the last `window` calls |
/// | `[breaker]` `open_for`, `half_open_trials`, `success_threshold` | the way back |
///
/// A client that leaves says nothing about the upstream: with a `timeout`, which belongs inside the breaker, an abandoned call is
/// ignored. Without one lost patience is all there is to see, and a call that was abandoned after 30 s counts as failed.
///
/// A bulkhead with a queue needs `BulkheadLayer::waiting()` around it: without that, nothing ever waits.
///
/// The breaker logs and counts its transitions; register it (`Context::register`) to show its state as well.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Policy {
    /// Bound for one call.
    pub timeout: Option<Duration>,
    /// The bulkhead.
    pub bulkhead: Option<Bulkhead>,
    /// The circuit breaker.
    pub breaker: Option<CircuitBreaker>,
}

const LONGEST: Duration = Duration::from_secs(3600);
/// Without a time-out, an abandoned call that took longer than this counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// A trial that takes longer than this has failed, unless the time-out is the more patient of the two.
const LEASE: Duration = Duration::from_secs(60);
/// The builders' own defaults, given to them again so that `--print-config` shows them.
const OPEN_FOR: Duration = Duration::from_secs(30);
const MINIMUM_CALLS: u32 = 20;

impl Policy {
    /// Reads an upstream's table; the guards get the table's name.
    pub fn read(section: &mut Section<'_>) -> Self {
        let name = section.name().to_owned();
        Self::read_named(section, &name)
    }

    /// Like [`read`](Self::read), with a name of the caller's choice.
    pub fn read_named(section: &mut Section<'_>, name: &str) -> Self {
        Self::read_with(section, name, |_, builder| builder)
    }

    /// Like [`read_named`](Self::read_named); `more` may read further keys of the breaker's table into its builder.
    pub fn read_with(
        section: &mut Section<'_>,
        name: &str,
        more: impl FnOnce(&mut Section<'_>, CircuitBreakerBuilder) -> CircuitBreakerBuilder,
    ) -> Self {
        let timeout = section.opt_duration("timeout", Duration::from_millis(1)..=LONGEST);
        Self {
            timeout,
            bulkhead: section
                .section("bulkhead")
                .and_then(|mut section| bulkhead(&mut section, name)),
            breaker: section
                .section("breaker")
                .and_then(|mut section| breaker(&mut section, name, timeout, more)),
        }
    }
}

/// Reads the table of a bulkhead, which gets the name `name`; `None` if it makes no sense, which has then been noted.
pub fn bulkhead(section: &mut Section<'_>, name: &str) -> Option<Bulkhead> {
    let mut builder = Bulkhead::builder(name).max_queue(count(section, "max_queue", 0) as usize);
    if let Some(calls) = opt_count(section, "max_concurrent") {
        builder = builder.max_concurrent(calls as usize);
    }
    if let Some(wait) = section.opt_duration("max_wait", Duration::ZERO..=LONGEST * 24) {
        builder = builder.max_wait(wait);
    }
    builder
        .build()
        .map_err(|error| reject(section, &error))
        .ok()
}

/// Reads the table of a circuit breaker, which gets the name `name`, for calls with this `timeout`; `None` if it makes no sense,
/// which has then been noted. `more` may read further keys into the builder.
pub fn breaker(
    section: &mut Section<'_>,
    name: &str,
    timeout: Option<Duration>,
    more: impl FnOnce(&mut Section<'_>, CircuitBreakerBuilder) -> CircuitBreakerBuilder,
) -> Option<CircuitBreaker> {
    let abandoned = match timeout {
        Some(_) => Abandoned::Ignore,
        None => Abandoned::FailureAfter(PATIENCE),
    };
    let mut builder = CircuitBreaker::builder(name)
        .listener(events::publish)
        .on_abandoned(abandoned)
        // So that a trial times out before its lease is over.
        .trial_lease(LEASE.max(timeout.unwrap_or_default() * 2));
    if let Some(failures) = opt_count(section, "consecutive_failures") {
        builder = builder.consecutive_failures(failures);
    }
    if let Some(mut rate) = section.section("failure_rate") {
        builder = builder.failure_rate(failure_rate(&mut rate));
    }
    let open_for = section.duration("open_for", OPEN_FOR, Duration::ZERO..=Duration::MAX);
    builder = builder
        .open_for(open_for)
        .half_open_trials(count(section, "half_open_trials", 1))
        .success_threshold(count(section, "success_threshold", 1));
    more(section, builder)
        .build()
        .map_err(|error| reject(section, &error))
        .ok()
}

fn failure_rate(section: &mut Section<'_>) -> FailureRate {
    let window = count(section, "window", 100);
    FailureRate::over_calls(window)
        .threshold(section.float("threshold", 0.5, 0.0..=1.0))
        .minimum_calls(count(
            section,
            "minimum_calls",
            MINIMUM_CALLS.min(window.max(1)),
        ))
}

/// The builders know the exact limits and say so in their errors.
fn count(section: &mut Section<'_>, key: &str, default: u32) -> u32 {
    let value = section.integer(key, default.into(), 0..=i64::from(u32::MAX));
    u32::try_from(value).unwrap_or(default)
}

fn opt_count(section: &mut Section<'_>, key: &str) -> Option<u32> {
    let value = section.opt_integer(key, 0..=i64::from(u32::MAX))?;
    u32::try_from(value).ok()
}

/// A builder's complaints, on the keys they are about.
fn reject(section: &mut Section<'_>, error: &BuildError) {
    for problem in error.problems() {
        match problem.option() {
            // Of the builder's rules, these are the two that have keys.
            "rules" => section.reject(
                "consecutive_failures",
                "at least one of `consecutive_failures` and `failure_rate`",
            ),
            "failure_rate.over_calls" => section
                .section_or_empty("failure_rate")
                .reject("window", problem.allowed()),
            option => match option.split_once('.') {
                Some((table, key)) => section
                    .section_or_empty(table)
                    .reject(key, problem.allowed()),
                None => section.reject(option, problem.allowed()),
            },
        }
    }
}
