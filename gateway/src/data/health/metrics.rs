//! Checks as metrics: by upstream, not by endpoint, whose number and names nobody bounds. Which one is unwell is in the report and
//! in the log.

use std::sync::Arc;

use metrics::{Counter, Gauge, counter, gauge};

use super::{report::Report, state::Health};

const CHECKS: &str = "gateway_health_checks_total";
const ENDPOINTS: &str = "gateway_health_endpoints";

/// Tells the recorder what these are.
pub fn describe() {
    metrics::describe_counter!(CHECKS, "Active health checks, by outcome");
    metrics::describe_gauge!(
        ENDPOINTS,
        "Endpoints, by what active health checks say of them"
    );
}

pub(super) struct Metrics {
    passed: Counter,
    failed: Counter,
    endpoints: [(Health, Gauge); 3],
}

impl Metrics {
    pub(super) fn new(upstream: &Arc<str>) -> Self {
        let upstream = || upstream.to_string();
        let checks = |outcome: &'static str| counter!(CHECKS, "upstream" => upstream(), "outcome" => outcome);
        let all = [
            (Health::Unknown, "unknown"),
            (Health::Healthy, "healthy"),
            (Health::Unhealthy, "unhealthy"),
        ];
        Self {
            passed: checks("success"),
            failed: checks("failure"),
            endpoints: all.map(|(health, name)| {
                (
                    health,
                    gauge!(ENDPOINTS, "upstream" => upstream(), "health" => name),
                )
            }),
        }
    }

    pub(super) fn checked(&self, passed: bool) {
        let counter = if passed { &self.passed } else { &self.failed };
        counter.increment(1);
    }

    pub(super) fn count(&self, report: &Report) {
        for (health, gauge) in &self.endpoints {
            gauge.set(report.count(*health) as f64);
        }
    }
}
