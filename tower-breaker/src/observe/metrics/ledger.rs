//! From what guards say at one moment to series that never go backwards.
//!
//! A guard's totals begin at zero when it is built. A series outlives guards: one that is replaced by another of its name, a key
//! that is evicted and comes back, a name that several share. So what is added to a series is what each of its guards has
//! counted since it was last looked at; what one had counted when it went away stays.

use std::{collections::HashMap, iter, ptr, sync::Arc};

use metrics::{Key, KeyName, Recorder, SharedString, Unit};

use super::{
    distribution::Distribution,
    series::{Histogram, METADATA, Series},
};
use crate::observe::since::Since;

/// What guards of one kind publish.
pub(super) struct Kind<S: 'static> {
    pub(super) id: fn(&S) -> u64,
    /// What a guard is told apart by.
    pub(super) names: &'static [&'static str],
    /// Of metrics in seconds, in nanoseconds.
    pub(super) counters: &'static [Series<S, u64>],
    pub(super) gauges: &'static [Series<S, f64>],
    pub(super) histogram: Option<&'static Histogram<S>>,
}

/// The values of the labels that tell guards apart.
pub(super) type Names = Vec<Arc<str>>;

pub(super) struct Ledger<S: 'static> {
    kind: &'static Kind<S>,
    since: Since,
    rows: HashMap<Names, Row>,
    round: u64,
}

// The series of one name.
struct Row {
    counters: Box<[(Key, u64)]>,
    gauges: Box<[(Key, f64)]>,
    // What has not been recorded yet.
    histogram: Option<(Key, Distribution)>,
    round: u64,
}

impl<S> Ledger<S> {
    pub(super) fn new(kind: &'static Kind<S>) -> Self {
        Self {
            kind,
            since: Since::default(),
            rows: HashMap::new(),
            round: 0,
        }
    }

    /// Enters what was found, under no more than so many names besides the one for the others.
    pub(super) fn enter<'a>(
        &mut self,
        found: impl Iterator<Item = (Names, &'a S)>,
        max_names: usize,
    ) {
        self.round += 1;
        for row in self.rows.values_mut() {
            row.gauges.iter_mut().for_each(|(_, value)| *value = 0.0);
        }
        self.since.begin();
        for (names, snapshot) in found {
            let distribution = self.kind.histogram.map(|it| (it.get)(snapshot));
            let totals: Vec<u64> = self
                .kind
                .counters
                .iter()
                .map(|series| (series.get)(snapshot))
                .chain(distribution.iter().flat_map(Distribution::totals))
                .collect();
            let id = (self.kind.id)(snapshot);
            let Some(mut more) = self.since.advance(id, totals.into_iter()) else {
                continue;
            };
            let has_place = self.rows.contains_key(&names) || self.rows.len() < max_names;
            let names = match has_place {
                true => names,
                false => names.iter().map(|_| super::OTHER.into()).collect(),
            };
            let row = self
                .rows
                .entry(names)
                .or_insert_with_key(|names| Row::new(self.kind, names));
            row.round = self.round;
            for ((_, sum), more) in row.counters.iter_mut().zip(&mut more) {
                *sum += more;
            }
            if let Some(((_, pending), now)) = row.histogram.as_mut().zip(distribution) {
                pending.add(more, now.longest_nanos);
            }
            for (series, (_, sum)) in self.kind.gauges.iter().zip(&mut row.gauges) {
                *sum += (series.get)(snapshot);
            }
        }
        self.since.end();
    }

    /// Hands the series to the recorder. A name whose guards have all gone says so once, with gauges at zero, and is then
    /// left alone, so that a recorder which forgets what is idle can forget it.
    pub(super) fn publish(&mut self, recorder: &dyn Recorder) {
        for row in self.rows.values_mut() {
            if row.round == self.round {
                for (series, (key, total)) in self.kind.counters.iter().zip(&row.counters) {
                    let counter = recorder.register_counter(key, &METADATA);
                    counter.absolute(total / series.metric.per_unit());
                }
                if let Some((it, (key, pending))) = self.kind.histogram.zip(row.histogram.as_mut())
                {
                    let histogram = recorder.register_histogram(key, &METADATA);
                    for (value, count) in pending.take_values(it.bounds) {
                        histogram.record_many(value, count);
                    }
                }
            }
            if row.round + 1 >= self.round {
                for (key, value) in &row.gauges {
                    recorder.register_gauge(key, &METADATA).set(*value);
                }
            }
        }
    }

    /// Tells the recorder what the metrics mean. Every time: it may have been installed just now.
    pub(super) fn describe(&self, recorder: &dyn Recorder) {
        for (name, unit, help) in descriptions(self.kind.counters) {
            recorder.describe_counter(name, unit, help);
        }
        for (name, unit, help) in descriptions(self.kind.gauges) {
            recorder.describe_gauge(name, unit, help);
        }
        if let Some(histogram) = self.kind.histogram {
            let (name, unit, help) = histogram.metric.description();
            recorder.describe_histogram(name, unit, help);
        }
    }
}

// Series of one metric are neighbours.
fn descriptions<S, V>(
    series: &'static [Series<S, V>],
) -> impl Iterator<Item = (KeyName, Option<Unit>, SharedString)> {
    series
        .chunk_by(|one, next| ptr::eq(one.metric, next.metric))
        .filter_map(|of_one| of_one.first())
        .map(|series| series.metric.description())
}

impl Row {
    fn new<S>(kind: &Kind<S>, names: &[Arc<str>]) -> Self {
        let own = || iter::zip(kind.names, names);
        let counters = kind.counters.iter();
        let gauges = kind.gauges.iter();
        Self {
            counters: counters
                .map(|series| (series.metric.key(own(), series.labels), 0))
                .collect(),
            gauges: gauges
                .map(|series| (series.metric.key(own(), series.labels), 0.0))
                .collect(),
            histogram: kind.histogram.map(|histogram| {
                let nothing = Distribution::new(histogram.bounds.len());
                (histogram.metric.key(own(), &[]), nothing)
            }),
            round: 0,
        }
    }
}
