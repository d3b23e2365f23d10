//! Settings that are known to work together.

use std::time::Duration;

use super::{CircuitBreakerBuilder, FailureRate, OpenWait, rates::Rates, trial::Trials};

/// A set of options under one name, for [`CircuitBreakerBuilder::preset`].
///
/// | | opens after | stays open | closes after |
/// |---|---|---|---|
/// | `OneMinute` | 5 failures in a row | 60 s | 2 successes |
/// | `FiveSeconds` | 3 failures in a row | 5 s | 1 success |
/// | `HalfMinute` | 5 failures in a row | 30 s | 1 success |
/// | `HttpClient` | 10 failures in a row, or a failure rate of 0.5 over 10 s with at least 20 calls and 5 failures | 5 s, doubled up to 60 s, jitter 0.2 | 1 success |
///
/// `HttpClient`, the default, also sets [`stable_after`](CircuitBreakerBuilder::stable_after) to 30 s,
/// [`half_open_trials`](CircuitBreakerBuilder::half_open_trials) to 1, [`trial_lease`](CircuitBreakerBuilder::trial_lease) to
/// 30 s, and [`honor_retry_after`](CircuitBreakerBuilder::honor_retry_after) to 60 s.
///
/// None of them says what a failure is: that is the layer's [classifier](crate::CircuitBreakerLayer::classify). By default that is
/// [`AnyError`](crate::classify::AnyError), for which every HTTP response is a success; `HttpStatus` takes a `503` for a failure and
/// hears its `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Preset {
    /// 5 failures in a row, 60 s, 2 successes.
    OneMinute,
    /// 3 failures in a row, 5 s, 1 success.
    FiveSeconds,
    /// 5 failures in a row, 30 s, 1 success.
    HalfMinute,
    /// For calls to other services: notices both a dead and a half-dead one, waits longer the longer it stays so, and does what
    /// its `Retry-After` asks for.
    #[default]
    HttpClient,
}

impl Preset {
    pub(super) fn apply(self, builder: CircuitBreakerBuilder) -> CircuitBreakerBuilder {
        let seconds = Duration::from_secs;
        match self {
            Self::OneMinute => simple(builder, 5, seconds(60), 2),
            Self::FiveSeconds => simple(builder, 3, seconds(5), 1),
            Self::HalfMinute => simple(builder, 5, seconds(30), 1),
            Self::HttpClient => simple(builder, 10, seconds(5), 1)
                .failure_rate(
                    FailureRate::over_time(seconds(10))
                        .threshold(0.5)
                        .minimum_calls(20)
                        .minimum_failures(5),
                )
                .open_for(
                    OpenWait::exponential(seconds(5))
                        .factor(2.0)
                        .max(seconds(60))
                        .jitter(0.2),
                )
                .stable_after(seconds(30))
                .half_open_trials(1)
                .trial_lease(seconds(30))
                .honor_retry_after(seconds(60)),
        }
    }
}

fn simple(
    mut builder: CircuitBreakerBuilder,
    failures: u32,
    wait: Duration,
    successes: u32,
) -> CircuitBreakerBuilder {
    builder.rates = Rates::default();
    builder.trials = Trials::preset(successes);
    builder.consecutive_failures(failures).open_for(wait)
}
