//! A metric, and one of its series: labels, and where in a snapshot the value is.

use std::{sync::Arc, time::Duration};

use metrics::{Key, KeyName, Label, Level, Metadata, SharedString, Unit};

use super::distribution::Distribution;

pub(super) static METADATA: Metadata<'static> =
    Metadata::new("tower_breaker", Level::INFO, Some(module_path!()));

pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) help: &'static str,
}

/// One of the series that a guard of this kind has, besides its name.
pub(super) struct Series<S: 'static, V> {
    pub(super) metric: &'static Metric,
    pub(super) labels: &'static [(&'static str, &'static str)],
    pub(super) get: fn(&S) -> V,
}

/// A histogram that the guard keeps itself.
pub(super) struct Histogram<S: 'static> {
    pub(super) metric: &'static Metric,
    /// The upper bounds of its buckets, but for the last.
    pub(super) bounds: &'static [Duration],
    pub(super) get: fn(&S) -> Distribution,
}

impl Metric {
    pub(super) const fn count(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            unit: Unit::Count,
            help,
        }
    }

    pub(super) const fn seconds(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            unit: Unit::Seconds,
            help,
        }
    }

    /// What a total of it is divided by. A counter takes whole numbers only, so times are added up in nanoseconds.
    pub(super) fn per_unit(&self) -> u64 {
        match self.unit {
            Unit::Seconds => 1_000_000_000,
            _ => 1,
        }
    }

    pub(super) fn key<'a>(
        &self,
        names: impl Iterator<Item = (&'a &'static str, &'a Arc<str>)>,
        labels: &'static [(&'static str, &'static str)],
    ) -> Key {
        let names = names.map(|(key, value)| Label::new(*key, Arc::clone(value)));
        let more = labels.iter();
        let more = more.map(|&(key, value)| Label::from_static_parts(key, value));
        let labels: Vec<Label> = names.chain(more).collect();
        Key::from_parts(self.name, labels)
    }

    pub(super) fn description(&self) -> (KeyName, Option<Unit>, SharedString) {
        let name = KeyName::from_const_str(self.name);
        (name, Some(self.unit), SharedString::const_str(self.help))
    }
}

impl<S, V> Series<S, V> {
    pub(super) const fn new(
        metric: &'static Metric,
        labels: &'static [(&'static str, &'static str)],
        get: fn(&S) -> V,
    ) -> Self {
        Self {
            metric,
            labels,
            get,
        }
    }
}
