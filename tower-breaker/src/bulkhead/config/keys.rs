//! The tables and keys of the configuration. What they mean is said at the builders.

use serde::{Deserialize, Serialize};

use crate::{
    BuildError, Problem,
    bulkhead::{
        limit::{Aimd, Algorithm, Gradient2, Vegas, Window},
        partition::Partition,
        place::Priority,
    },
    config::{Checked, Keyed, Table, Tables, Time},
};

const NO_ALGORITHM: &str = "no algorithm: exactly one of `aimd`, `gradient2` and `vegas` is needed";
const TWO_ALGORITHMS: &str =
    "more than one algorithm: exactly one of `aimd`, `gradient2` and `vegas` is needed";

/// All of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_concurrent: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_queue: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_wait: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dry_run: Option<bool>,
    // Those that are tables come last: some writers of TOML want it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) adaptive: Option<Checked<AdaptiveKeys>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit_window: Option<Keyed<WindowKeys>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) priority_share: Option<Keyed<PriorityShareKeys>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partition: Option<Tables<PartitionKeys>>,
}

/// One of them: what finds the limit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdaptiveKeys {
    #[serde(skip_serializing_if = "Option::is_none")]
    aimd: Option<Keyed<AimdKeys>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gradient2: Option<Keyed<Gradient2Keys>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vegas: Option<Keyed<VegasKeys>>,
}

/// Of [`Aimd`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AimdKeys {
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Time>,
}

/// Of [`Gradient2`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gradient2Keys {
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smoothing: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tolerance: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    long_window: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_every: Option<u32>,
}

/// Of [`Vegas`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VegasKeys {
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smoothing: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_every: Option<u32>,
}

/// Of a [`Window`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowKeys {
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_calls: Option<u32>,
}

/// The shares of priorities.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriorityShareKeys {
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    normal: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<f64>,
}

/// Of a [`Partition`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartitionKeys {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    guaranteed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
}

impl Table for AdaptiveKeys {
    fn check(&self) -> Result<(), &'static str> {
        let given = [
            self.aimd.is_some(),
            self.gradient2.is_some(),
            self.vegas.is_some(),
        ];
        match given.into_iter().filter(|given| *given).count() {
            1 => Ok(()),
            0 => Err(NO_ALGORITHM),
            _ => Err(TWO_ALGORITHMS),
        }
    }
}

impl Table for PartitionKeys {
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl AdaptiveKeys {
    /// What is wrong is named as what the key is: `adaptive.aimd.backoff`.
    pub(super) fn build(&self) -> Result<Box<dyn Algorithm>, Vec<Problem>> {
        fn boxed<A: Algorithm>(
            name: &str,
            built: Result<A, BuildError>,
        ) -> Result<Box<dyn Algorithm>, Vec<Problem>> {
            match built {
                Ok(algorithm) => Ok(Box::new(algorithm)),
                Err(error) => {
                    let problems = error.problems().iter();
                    let inside = format!("adaptive.{name}");
                    Err(problems.map(|problem| problem.inside(&inside)).collect())
                }
            }
        }
        if let Some(Keyed(keys)) = &self.aimd {
            boxed("aimd", keys.build())
        } else if let Some(Keyed(keys)) = &self.gradient2 {
            boxed("gradient2", keys.build())
        } else if let Some(Keyed(keys)) = &self.vegas {
            boxed("vegas", keys.build())
        } else {
            // Not in what was read.
            Err(vec![Problem::new("adaptive", "", NO_ALGORITHM)])
        }
    }
}

impl AimdKeys {
    fn build(&self) -> Result<Aimd, BuildError> {
        let mut builder = Aimd::builder();
        if let Some(value) = self.initial {
            builder = builder.initial(value);
        }
        if let Some(value) = self.min {
            builder = builder.min(value);
        }
        if let Some(value) = self.max {
            builder = builder.max(value);
        }
        if let Some(value) = self.backoff {
            builder = builder.backoff(value);
        }
        if let Some(value) = self.timeout {
            builder = builder.timeout(value.0);
        }
        builder.build()
    }
}

impl Gradient2Keys {
    fn build(&self) -> Result<Gradient2, BuildError> {
        let mut builder = Gradient2::builder();
        if let Some(value) = self.initial {
            builder = builder.initial(value);
        }
        if let Some(value) = self.min {
            builder = builder.min(value);
        }
        if let Some(value) = self.max {
            builder = builder.max(value);
        }
        if let Some(value) = self.smoothing {
            builder = builder.smoothing(value);
        }
        if let Some(value) = self.tolerance {
            builder = builder.tolerance(value);
        }
        if let Some(value) = self.queue {
            builder = builder.queue(value);
        }
        if let Some(value) = self.long_window {
            builder = builder.long_window(value);
        }
        if let Some(value) = self.warmup {
            builder = builder.warmup(value);
        }
        if let Some(value) = self.backoff {
            builder = builder.backoff(value);
        }
        if let Some(value) = self.probe_every {
            builder = builder.probe_every(value);
        }
        builder.build()
    }
}

impl VegasKeys {
    fn build(&self) -> Result<Vegas, BuildError> {
        let mut builder = Vegas::builder();
        if let Some(value) = self.initial {
            builder = builder.initial(value);
        }
        if let Some(value) = self.min {
            builder = builder.min(value);
        }
        if let Some(value) = self.max {
            builder = builder.max(value);
        }
        if let Some(value) = self.alpha {
            builder = builder.alpha(value);
        }
        if let Some(value) = self.beta {
            builder = builder.beta(value);
        }
        if let Some(value) = self.threshold {
            builder = builder.threshold(value);
        }
        if let Some(value) = self.smoothing {
            builder = builder.smoothing(value);
        }
        if let Some(value) = self.backoff {
            builder = builder.backoff(value);
        }
        if let Some(value) = self.probe_every {
            builder = builder.probe_every(value);
        }
        builder.build()
    }
}

impl From<&WindowKeys> for Window {
    fn from(keys: &WindowKeys) -> Self {
        let mut window = Self::new();
        if let Some(Time(time)) = keys.at_least {
            window = window.at_least(time);
        }
        if let Some(calls) = keys.minimum_calls {
            window = window.minimum_calls(calls);
        }
        window
    }
}

impl From<&PartitionKeys> for Partition {
    fn from(keys: &PartitionKeys) -> Self {
        let mut partition = Self::new(keys.name.as_str());
        if let Some(share) = keys.guaranteed {
            partition = partition.guaranteed(share);
        }
        if let Some(share) = keys.at_most {
            partition = partition.at_most(share);
        }
        partition
    }
}

impl PriorityShareKeys {
    pub(super) fn shares(&self) -> impl Iterator<Item = (Priority, f64)> {
        let shares = [
            (Priority::Low, self.low),
            (Priority::Normal, self.normal),
            (Priority::High, self.high),
        ];
        shares
            .into_iter()
            .filter_map(|(priority, share)| Some((priority, share?)))
    }
}
