//! A scrape: what the Prometheus exporter renders, taken apart.

use std::collections::BTreeMap;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use tower_breaker::{bulkhead::Waits, observe::Metrics};

/// One recorder, as a process has.
pub struct Exporter(PrometheusRecorder);

/// The text format, in pieces.
#[derive(Debug, Default)]
pub struct Scrape {
    pub types: BTreeMap<String, String>,
    pub helps: BTreeMap<String, String>,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Clone)]
pub struct Sample {
    pub metric: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Exporter {
    pub fn new() -> Self {
        let bounds = Waits::BOUNDS.map(|bound| bound.as_secs_f64());
        let matcher = Matcher::Full("bulkhead_wait_seconds".into());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(matcher, &bounds);
        Self::from(builder.unwrap())
    }

    pub fn from(builder: PrometheusBuilder) -> Self {
        Self(builder.build_recorder())
    }

    pub fn scrape(&self, metrics: &Metrics) -> Scrape {
        metrics.collect_into(&self.0);
        Scrape::parse(&self.0.handle().render())
    }
}

impl Scrape {
    pub fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (metric, kind) = rest.split_once(' ').unwrap();
                let before = scrape.types.insert(metric.into(), kind.into());
                assert_eq!(before, None, "{metric} has two types");
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                let (metric, help) = rest.split_once(' ').unwrap();
                scrape.helps.insert(metric.into(), help.into());
            } else {
                scrape.samples.push(Sample::parse(line));
            }
        }
        scrape
    }

    /// The value of the only series with these labels, written as in a query: `metric{name="a",state="OPEN"}`.
    pub fn value(&self, series: &str) -> f64 {
        self.find(series)
            .unwrap_or_else(|| panic!("no {series} in {:#?}", self.samples))
    }

    pub fn find(&self, series: &str) -> Option<f64> {
        let Sample { metric, labels, .. } = Sample::parse(&format!("{series} 0"));
        let mut found = self
            .samples
            .iter()
            .filter(|sample| (&sample.metric, &sample.labels) == (&metric, &labels));
        let value = found.next()?.value;
        assert!(found.next().is_none(), "{series} is there twice");
        Some(value)
    }
}

impl Sample {
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (metric, labels) = match series.split_once('{') {
            Some((metric, labels)) => (metric, labels.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        let labels = labels.split(',').filter(|label| !label.is_empty());
        Self {
            metric: metric.into(),
            labels: labels
                .map(|label| {
                    let (key, value) = label.split_once('=').unwrap();
                    (key.into(), value.trim_matches('"').into())
                })
                .collect(),
            value: value.parse().unwrap(),
        }
    }
}
