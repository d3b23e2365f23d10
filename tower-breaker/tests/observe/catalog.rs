//! The documented table against what is really published, and the rules for names.

use std::collections::{BTreeMap, BTreeSet};

use metrics_exporter_prometheus::PrometheusBuilder;
use tower_breaker::{
    Bulkhead, CircuitBreaker, Throttle,
    bulkhead::Partition,
    observe::{Guards, Metrics},
};

use crate::scrape::{Exporter, Sample, Scrape};

/// The table, which the module's documentation includes.
const TABLE: &str = include_str!("../../src/observe/metrics.md");

#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub kind: String,
    pub labels: BTreeSet<String>,
    pub values: BTreeSet<String>,
}

fn quoted(text: &str) -> BTreeSet<String> {
    let parts = text.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

pub fn documented() -> BTreeMap<String, Row> {
    let rows = TABLE.lines().skip(2).map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, metric, kind, labels, what, _] = cells[..] else {
            panic!("not a row: {line}");
        };
        assert!(!what.is_empty(), "{metric} does not say what it is");
        let (labels, values) = labels.split_once(':').unwrap_or((labels, ""));
        let row = Row {
            kind: kind.into(),
            labels: quoted(labels),
            values: quoted(values),
        };
        (metric.trim_matches('`').to_owned(), row)
    });
    rows.collect()
}

fn published(scrape: &Scrape) -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<_, _> = scrape
        .types
        .iter()
        .map(|(metric, kind)| {
            let row = Row {
                kind: kind.clone(),
                labels: BTreeSet::new(),
                values: BTreeSet::new(),
            };
            (metric.clone(), row)
        })
        .collect();
    for Sample { metric, labels, .. } in &scrape.samples {
        // The parts of a histogram.
        let mut parts = ["_bucket", "_sum", "_count"].iter();
        let whole = parts.find_map(|part| metric.strip_suffix(part));
        let metric = whole
            .filter(|whole| scrape.types.contains_key(*whole))
            .unwrap_or(metric);
        let row = rows
            .get_mut(metric)
            .unwrap_or_else(|| panic!("{metric} has no type"));
        for (key, value) in labels {
            if key != "name" && key != "le" {
                row.labels.insert(key.clone());
            }
            if !["name", "le", "partition"].contains(&&**key) {
                row.values.insert(value.clone());
            }
        }
    }
    rows
}

/// One guard of each kind.
fn guards() -> Guards {
    let breaker = CircuitBreaker::builder("one").consecutive_failures(1);
    let bulkhead = Bulkhead::builder("one")
        .max_concurrent(1)
        .partition(Partition::new("part"));
    let guards = Guards::new();
    guards
        .breaker(&breaker.build().unwrap())
        .bulkhead(&bulkhead.build().unwrap())
        .throttle(&Throttle::builder("one").build().unwrap());
    guards
}

#[test]
fn the_table_says_exactly_what_is_published_by_a_guard_that_has_done_nothing_yet() {
    let scrape = Exporter::new().scrape(&Metrics::new(guards()));
    assert_eq!(published(&scrape), documented());
    // So that the first refusal shows as an increase, and not as a series that begins with one.
    assert!(
        scrape
            .samples
            .iter()
            .all(|sample| sample.labels["name"] == "one")
    );
}

#[test]
fn names_and_labels_keep_to_the_rules_of_prometheus() {
    let scrape = Exporter::new().scrape(&Metrics::new(guards()));
    let is_a_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    for (metric, kind) in &scrape.types {
        assert!(is_a_name(metric), "{metric}");
        assert_eq!(metric.ends_with("_total"), kind == "counter", "{metric}");
        let base = metric.trim_end_matches("_total");
        assert!(
            !base.contains("seconds") || base.ends_with("_seconds"),
            "{metric}"
        );
        for word in ["milli", "micro", "nanos", "minutes", "gauge", "counter"] {
            assert!(!metric.contains(word), "{metric}");
        }
        for suffix in ["_count", "_sum", "_bucket", "_info"] {
            assert!(!metric.ends_with(suffix), "{metric}");
        }
        assert!(scrape.helps.contains_key(metric), "{metric} has no help");
    }
    for sample in &scrape.samples {
        for key in sample.labels.keys() {
            assert!(is_a_name(key) && !["quantile", "job", "instance"].contains(&&**key));
        }
    }
}

#[test]
fn the_exporters_own_naming_options_change_nothing() {
    let plain = Exporter::new().scrape(&Metrics::new(guards()));
    let buckets = PrometheusBuilder::new().set_buckets(&[1.0]).unwrap();
    let strict = buckets.with_recommended_naming(true);
    let strict = Exporter::from(strict).scrape(&Metrics::new(guards()));
    assert_eq!(plain.types, strict.types);
}
