//! The tables and keys of the configuration. What they mean is said at the builder.

use serde::{Deserialize, Serialize};

use crate::{
    breaker::{
        builder::{FailureRate, OpenWait, Preset, Ramp, SlowCallRate, TrialRate},
        policy::{Abandoned, LeaseExpired, Recovery},
    },
    config::{Keyed, Limit, Table, Tables, Time, TimeOr},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) preset: Option<Preset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) consecutive_failures: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) half_open_trials: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) success_threshold: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stable_after: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) honor_retry_after: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trial_lease: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_lease_expired: Option<LeaseExpired>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recovery: Option<Recovery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dry_run: Option<bool>,
    // Those that may be tables come last: some writers of TOML want it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_abandoned: Option<AbandonedKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) open_for: Option<TimeOr<OpenWaitKeys>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure_rate: Option<Tables<FailureRateKeys>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) slow_call_rate: Option<Tables<SlowCallRateKeys>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trial_rate: Option<Keyed<TrialRateKeys>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ramp: Option<Keyed<RampKeys>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FailureRateKeys {
    #[serde(skip_serializing_if = "Option::is_none")]
    over_calls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    over_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slices: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_calls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_failures: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlowCallRateKeys {
    #[serde(skip_serializing_if = "Option::is_none")]
    over_calls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    over_time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slices: Option<u32>,
    slower_than: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_calls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_slow_calls: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenWaitKeys {
    initial: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrialRateKeys {
    of_trials: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RampKeys {
    over: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AbandonedKey {
    Ignore,
    Failure,
    FailureAfter(Time),
}

impl Table for FailureRateKeys {
    fn check(&self) -> Result<(), &'static str> {
        one_window(self.over_calls, self.over_time)
    }
}

impl Table for SlowCallRateKeys {
    fn check(&self) -> Result<(), &'static str> {
        one_window(self.over_calls, self.over_time)
    }
}

fn one_window(calls: Option<u32>, time: Option<Time>) -> Result<(), &'static str> {
    match (calls, time) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        (None, None) => Err("no window: exactly one of `over_calls` and `over_time` is needed"),
        (Some(_), Some(_)) => {
            Err("two windows: exactly one of `over_calls` and `over_time` is needed")
        }
    }
}

impl From<&FailureRateKeys> for FailureRate {
    fn from(keys: &FailureRateKeys) -> Self {
        let mut rate = match keys.over_time {
            Some(Time(time)) => Self::over_time(time),
            None => Self::over_calls(keys.over_calls.unwrap_or_default()),
        };
        if let Some(slices) = keys.slices {
            rate = rate.slices(slices);
        }
        if let Some(threshold) = keys.threshold {
            rate = rate.threshold(threshold);
        }
        if let Some(calls) = keys.minimum_calls {
            rate = rate.minimum_calls(calls);
        }
        if let Some(failures) = keys.minimum_failures {
            rate = rate.minimum_failures(failures);
        }
        rate
    }
}

impl From<&SlowCallRateKeys> for SlowCallRate {
    fn from(keys: &SlowCallRateKeys) -> Self {
        let mut rate = match keys.over_time {
            Some(Time(time)) => Self::over_time(time),
            None => Self::over_calls(keys.over_calls.unwrap_or_default()),
        }
        .slower_than(keys.slower_than.0);
        if let Some(slices) = keys.slices {
            rate = rate.slices(slices);
        }
        if let Some(threshold) = keys.threshold {
            rate = rate.threshold(threshold);
        }
        if let Some(calls) = keys.minimum_calls {
            rate = rate.minimum_calls(calls);
        }
        if let Some(calls) = keys.minimum_slow_calls {
            rate = rate.minimum_slow_calls(calls);
        }
        rate
    }
}

impl From<&TimeOr<OpenWaitKeys>> for OpenWait {
    fn from(keys: &TimeOr<OpenWaitKeys>) -> Self {
        let keys = match keys {
            TimeOr::Time(Time(wait)) => return Self::fixed(*wait),
            TimeOr::Table(keys) => keys,
        };
        let mut wait = Self::exponential(keys.initial.0);
        if let Some(factor) = keys.factor {
            wait = wait.factor(factor);
        }
        if let Some(Time(max)) = keys.max {
            wait = wait.max(max);
        }
        if let Some(jitter) = keys.jitter {
            wait = wait.jitter(jitter);
        }
        wait
    }
}

impl From<&TrialRateKeys> for TrialRate {
    fn from(keys: &TrialRateKeys) -> Self {
        let rate = Self::of_trials(keys.of_trials);
        match keys.threshold {
            Some(threshold) => rate.threshold(threshold),
            None => rate,
        }
    }
}

impl From<&RampKeys> for Ramp {
    fn from(keys: &RampKeys) -> Self {
        let ramp = Self::over(keys.over.0);
        match keys.from {
            Some(share) => ramp.from(share),
            None => ramp,
        }
    }
}

impl From<AbandonedKey> for Abandoned {
    fn from(key: AbandonedKey) -> Self {
        match key {
            AbandonedKey::Ignore => Self::Ignore,
            AbandonedKey::Failure => Self::Failure,
            AbandonedKey::FailureAfter(Time(limit)) => Self::FailureAfter(limit),
        }
    }
}
