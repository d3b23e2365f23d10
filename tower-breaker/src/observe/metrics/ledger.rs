//! From what guards say at one moment to series that never go backwards.
//!
//! A guard's totals begin at zero when it is built. A series outlives guards: one that is replaced by another of its name, a key
//! that is evicted and comes back, a name that several share. So what is added to a series is what each of its guards has
//! counted since it was last looked at; what one had counted when it went away stays.

use std::{collections::HashMap, ptr, sync::Arc};

use metrics::{Key, KeyName, Recorder, SharedString, Unit};

use super::series::{METADATA, Series};
use crate::observe::since::Since;

/// What guards of one kind publish.
pub(super) struct Kind<S: 'static> {
    pub(super) id: fn(&S) -> u64,
    /// Of metrics in seconds, in nanoseconds.
    pub(super) counters: &'static [Series<S, u64>],
    pub(super) gauges: &'static [Series<S, f64>],
}

pub(super) struct Ledger<S: 'static> {
    kind: &'static Kind<S>,
    since: Since,
    rows: HashMap<Arc<str>, Row>,
    round: u64,
}

// The series of one name.
struct Row {
    counters: Box<[(Key, u64)]>,
    gauges: Box<[(Key, f64)]>,
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
    pub(super) fn enter(&mut self, found: &[(Arc<str>, S)], max_names: usize) {
        self.round += 1;
        for row in self.rows.values_mut() {
            row.gauges.iter_mut().for_each(|(_, value)| *value = 0.0);
        }
        self.since.begin();
        for (name, snapshot) in found {
            let counters = self.kind.counters.iter();
            let totals = counters.map(|series| (series.get)(snapshot));
            let Some(more) = self.since.advance((self.kind.id)(snapshot), totals) else {
                continue;
            };
            let has_place = self.rows.contains_key(name) || self.rows.len() < max_names;
            let name = if has_place { name } else { super::OTHER };
            let row = match self.rows.get_mut(name) {
                Some(row) => row,
                None => {
                    let row = Row::new(self.kind, name);
                    self.rows.entry(name.into()).or_insert(row)
                }
            };
            row.round = self.round;
            row.counters
                .iter_mut()
                .zip(more)
                .for_each(|((_, sum), more)| *sum += more);
            for (series, (_, sum)) in self.kind.gauges.iter().zip(&mut row.gauges) {
                *sum += (series.get)(snapshot);
            }
        }
        self.since.end();
    }

    /// Hands the series to the recorder. A name whose guards have all gone says so once, with gauges at zero, and is then
    /// left alone, so that a recorder which forgets what is idle can forget it.
    pub(super) fn publish(&self, recorder: &dyn Recorder) {
        for row in self.rows.values() {
            if row.round == self.round {
                for (series, (key, total)) in self.kind.counters.iter().zip(&row.counters) {
                    let counter = recorder.register_counter(key, &METADATA);
                    counter.absolute(total / series.metric.per_unit());
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
    fn new<S>(kind: &Kind<S>, name: &str) -> Self {
        let (counters, gauges) = (kind.counters.iter(), kind.gauges.iter());
        Self {
            counters: counters.map(|series| (series.key(name), 0)).collect(),
            gauges: gauges.map(|series| (series.key(name), 0.0)).collect(),
            round: 0,
        }
    }
}
