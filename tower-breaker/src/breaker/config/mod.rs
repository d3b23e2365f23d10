//! A circuit breaker from a configuration file.

mod keys;

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use self::keys::Keys;
use super::{builder::CircuitBreakerBuilder, handle::CircuitBreaker, policy::Kind};

/// The options of a circuit breaker, as a configuration file says them. Needs the feature `serde`.
///
/// ```
/// use tower_breaker::breaker::CircuitBreakerConfig;
///
/// let config: CircuitBreakerConfig = toml::from_str(
///     r#"
///     preset = "http_client"
///     consecutive_failures = 5
///     open_for = { initial = "2s", max = "1m 30s", jitter = 0.1 }
///     slow_call_rate = { over_time = "30s", slower_than = "800ms", threshold = 0.8 }
///     "#,
/// )?;
/// let breaker = config.builder("stock").build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Every key is optional, and means what the [builder](CircuitBreakerBuilder)'s option of the same name does. One that is absent
/// leaves the preset, or the builder's default, as it is.
///
/// | key | value |
/// |---|---|
/// | `preset` | `"one_minute"`, `"five_seconds"`, `"half_minute"` or `"http_client"` |
/// | `consecutive_failures` | a count |
/// | `failure_rate` | a table, or a list of them: `over_calls` or `over_time`, and `slices`, `threshold`, `minimum_calls`, `minimum_failures` |
/// | `slow_call_rate` | a table, or a list of them: `slower_than`, `over_calls` or `over_time`, and `slices`, `threshold`, `minimum_calls`, `minimum_slow_calls` |
/// | `open_for` | a duration, or a table: `initial`, and `factor`, `max`, `jitter` |
/// | `stable_after` | a duration |
/// | `honor_retry_after` | a duration |
/// | `half_open_trials`, `success_threshold` | a count |
/// | `trial_rate` | a table: `of_trials`, and `threshold` |
/// | `trial_lease` | a duration, or `"none"` |
/// | `on_lease_expired` | `"failure"` or `"ignore"` |
/// | `ramp` | a table: `over`, and `from` |
/// | `on_abandoned` | `"failure"`, `"ignore"`, or a table: `failure_after`, a duration |
/// | `recovery` | `"lazy"`, `"timed"` or `"probed"` |
/// | `dry_run` | `true` or `false` |
///
/// A duration is text with units, as `"250ms"`, `"5s"` or `"1m 30s"`. A bare number is refused, since nobody can know its unit.
/// A `failure_rate` or `slow_call_rate` replaces those of the preset; an empty list takes them away.
///
/// # Errors
///
/// Keys that nobody knows, at every level, are errors when the configuration is read, and are named all at once; so is a value of the wrong
/// kind, behind which nothing is read any more. Whether the
/// values are in range, and fit together, is checked by [`CircuitBreakerBuilder::build`], which names all problems at once.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct CircuitBreakerConfig {
    keys: Keys,
}

impl CircuitBreakerConfig {
    /// Begins a circuit breaker of this name with these options. More may be set, above all what no file can say: a listener, a
    /// clock.
    pub fn builder(&self, name: impl Into<Arc<str>>) -> CircuitBreakerBuilder {
        let keys = &self.keys;
        let mut builder = CircuitBreaker::builder(name);
        if let Some(preset) = keys.preset {
            builder = builder.preset(preset);
        }
        builder = self.rules(builder);
        if let Some(wait) = &keys.open_for {
            builder = builder.open_for(wait);
        }
        if let Some(time) = keys.stable_after {
            builder = builder.stable_after(time.0);
        }
        if let Some(max) = keys.honor_retry_after {
            builder = builder.honor_retry_after(max.0);
        }
        builder = self.way_back(builder);
        if let Some(abandoned) = keys.on_abandoned {
            builder = builder.on_abandoned(abandoned.into());
        }
        if let Some(recovery) = keys.recovery {
            builder = builder.recovery(recovery);
        }
        if let Some(dry_run) = keys.dry_run {
            builder = builder.dry_run(dry_run);
        }
        builder
    }

    fn rules(&self, mut builder: CircuitBreakerBuilder) -> CircuitBreakerBuilder {
        if let Some(failures) = self.keys.consecutive_failures {
            builder = builder.consecutive_failures(failures);
        }
        if let Some(rates) = &self.keys.failure_rate {
            builder = builder.without_rates(Kind::Failures);
            for rate in &rates.0 {
                builder = builder.failure_rate(rate.into());
            }
        }
        if let Some(rates) = &self.keys.slow_call_rate {
            builder = builder.without_rates(Kind::Slow);
            for rate in &rates.0 {
                builder = builder.slow_call_rate(rate.into());
            }
        }
        builder
    }

    // The options of half-open, and what comes after it.
    fn way_back(&self, mut builder: CircuitBreakerBuilder) -> CircuitBreakerBuilder {
        let keys = &self.keys;
        if let Some(trials) = keys.half_open_trials {
            builder = builder.half_open_trials(trials);
        }
        if let Some(successes) = keys.success_threshold {
            builder = builder.success_threshold(successes);
        }
        if let Some(rate) = &keys.trial_rate {
            builder = builder.trial_rate((&rate.0).into());
        }
        if let Some(lease) = keys.trial_lease {
            builder = builder.trial_lease(lease.0);
        }
        if let Some(expired) = keys.on_lease_expired {
            builder = builder.on_lease_expired(expired);
        }
        if let Some(ramp) = &keys.ramp {
            builder = builder.ramp((&ramp.0).into());
        }
        builder
    }
}

impl<'de> Deserialize<'de> for CircuitBreakerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::config::read(deserializer).map(|keys| Self { keys })
    }
}
