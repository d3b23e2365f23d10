//! A bulkhead from a configuration file.

mod keys;

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use self::keys::Keys;
use super::{Bulkhead, builder::BulkheadBuilder};

/// The options of a bulkhead, as a configuration file says them. Needs the feature `serde`.
///
/// ```
/// use tower_breaker::bulkhead::BulkheadConfig;
///
/// let config: BulkheadConfig = toml::from_str(
///     r#"
///     max_queue = 100
///     max_wait = "250ms"
///     adaptive = { gradient2 = { initial = 20, max = 500 } }
///
///     [[partition]]
///     name = "live"
///     guaranteed = 0.7
///
///     [[partition]]
///     name = "batch"
///     at_most = 0.3
///     "#,
/// )?;
/// let bulkhead = config.builder("stock").build()?;
/// # let _ = bulkhead;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Every key is optional, and means what the [builder](BulkheadBuilder)'s option of the same name does; but without `max_concurrent` or
/// `adaptive` nothing can be built.
///
/// | key | value |
/// |---|---|
/// | `max_concurrent`, `max_queue` | a count |
/// | `max_wait` | a duration |
/// | `adaptive` | a table with one key, which is a table again, perhaps an empty one: `aimd`, `gradient2` or `vegas`; the keys of that are the options of [`AimdBuilder`](super::limit::AimdBuilder), [`Gradient2Builder`](super::limit::Gradient2Builder) and [`VegasBuilder`](super::limit::VegasBuilder) |
/// | `limit_window` | a table: `at_least`, a duration, and `minimum_calls` |
/// | `partition` | a table, or a list of them: `name`, and `guaranteed`, `at_most` |
/// | `priority_share` | a table: `low`, `normal`, `high` |
/// | `dry_run` | `true` or `false` |
///
/// A duration is text with units, as `"250ms"`, `"5s"` or `"1m 30s"`. A bare number is refused, since nobody can know its unit.
///
/// # Errors
///
/// Keys that nobody knows, at every level, are errors when the configuration is read, and are named all at once; so is a value of the wrong
/// kind, behind which nothing is read any more. Whether
/// the values are in range, and fit together, is checked by [`BulkheadBuilder::build`], which names all problems at once.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct BulkheadConfig {
    keys: Keys,
}

impl BulkheadConfig {
    /// Begins a bulkhead of this name with these options. More may be set, above all what no file can say: a listener, a clock.
    pub fn builder(&self, name: impl Into<Arc<str>>) -> BulkheadBuilder {
        let keys = &self.keys;
        let mut builder = Bulkhead::builder(name);
        if let Some(calls) = keys.max_concurrent {
            builder = builder.max_concurrent(calls);
        }
        if let Some(calls) = keys.max_queue {
            builder = builder.max_queue(calls);
        }
        if let Some(wait) = keys.max_wait {
            builder = builder.max_wait(wait.0);
        }
        if let Some(adaptive) = &keys.adaptive {
            builder = builder.adaptive_or(adaptive.0.build());
        }
        if let Some(window) = &keys.limit_window {
            builder = builder.limit_window((&window.0).into());
        }
        for partition in keys.partition.iter().flat_map(|partitions| &partitions.0) {
            builder = builder.partition(partition.into());
        }
        for (priority, share) in keys.priority_share.iter().flat_map(|keys| keys.0.shares()) {
            builder = builder.priority_share(priority, share);
        }
        if let Some(dry_run) = keys.dry_run {
            builder = builder.dry_run(dry_run);
        }
        builder
    }
}

impl<'de> Deserialize<'de> for BulkheadConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::config::read(deserializer).map(|keys| Self { keys })
    }
}
