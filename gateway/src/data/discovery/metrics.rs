//! A source as metrics. Time since the last success is `time() - gateway_discovery_last_success_timestamp_seconds`, which needs
//! nobody here to count up.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use metrics::{Counter, Gauge, counter, gauge};

/// The handles of one upstream's source, looked up once.
pub(super) struct Metrics {
    succeeded: Counter,
    failed: Counter,
    last_success: Gauge,
    endpoints: Gauge,
    left_out: Gauge,
}

/// Tells the recorder what these are.
pub fn describe() {
    metrics::describe_counter!(ATTEMPTS, "Attempts to find an upstream's endpoints");
    metrics::describe_gauge!(LAST_SUCCESS, "When an upstream's endpoints were last found");
    metrics::describe_gauge!(ENDPOINTS, "Endpoints found");
    metrics::describe_gauge!(
        LEFT_OUT,
        "Endpoints found that are not used because there are too many"
    );
}

const ATTEMPTS: &str = "gateway_discovery_attempts_total";
const LAST_SUCCESS: &str = "gateway_discovery_last_success_timestamp_seconds";
const ENDPOINTS: &str = "gateway_discovery_endpoints";
const LEFT_OUT: &str = "gateway_discovery_endpoints_left_out";

impl Metrics {
    pub(super) fn new(upstream: &Arc<str>, kind: &'static str) -> Self {
        let upstream = || upstream.to_string();
        let attempts = |outcome: &'static str| counter!(ATTEMPTS, "upstream" => upstream(), "kind" => kind, "outcome" => outcome);
        Self {
            succeeded: attempts("success"),
            failed: attempts("failure"),
            last_success: gauge!(LAST_SUCCESS, "upstream" => upstream(), "kind" => kind),
            endpoints: gauge!(ENDPOINTS, "upstream" => upstream(), "kind" => kind),
            left_out: gauge!(LEFT_OUT, "upstream" => upstream(), "kind" => kind),
        }
    }

    pub(super) fn found(&self, endpoints: usize, left_out: usize, fresh: bool) {
        self.endpoints.set(endpoints as f64);
        self.left_out.set(left_out as f64);
        if !fresh {
            return;
        }
        self.succeeded.increment(1);
        if let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) {
            self.last_success.set(now.as_secs_f64());
        }
    }

    pub(super) fn failed(&self) {
        self.failed.increment(1);
    }
}
