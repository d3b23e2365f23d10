//! The process's Prometheus recorder.

use ::metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use http::{Method, StatusCode};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Seconds: from a cached answer to a hung dependency.
const LATENCY_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0,
];

const REQUESTS: &str = "http_server_requests_total";
const LATENCY: &str = "http_server_request_duration_seconds";
const IN_FLIGHT: &str = "http_server_requests_in_flight";

/// Installs the recorder once per process; several services in one process share it.
pub(crate) fn install() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let builder = PrometheusBuilder::new();
            let builder = builder
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCY_BUCKETS)
                .unwrap_or_else(|_| PrometheusBuilder::new());
            let recorder = builder.build_recorder();
            let handle = recorder.handle();
            // Fails only when the embedding process has a recorder of its own, which then gets our metrics.
            let _ = ::metrics::set_global_recorder(recorder);
            describe();
            handle
        })
        .clone()
}

/// Histograms keep every sample until somebody scrapes; without this an unscraped service would grow for ever.
pub(crate) async fn upkeep(handle: PrometheusHandle, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            _ = ticks.tick() => handle.run_upkeep(),
            () = shutdown.cancelled() => return,
        }
    }
}

fn describe() {
    crate::registry::gauges::describe();
    ::metrics::describe_counter!(
        REQUESTS,
        "Requests answered, by method, route template and status class"
    );
    ::metrics::describe_histogram!(
        LATENCY,
        ::metrics::Unit::Seconds,
        "Time from a request's arrival to its answer's head"
    );
    ::metrics::describe_gauge!(IN_FLIGHT, "Requests being answered now");
}

/// Counters and histograms per route, method and status class, looked up by label only once each.
pub(crate) struct RequestMetrics {
    in_flight: Gauge,
    routes: RwLock<HashMap<String, Arc<RouteMetrics>>>,
}

#[derive(Default)]
struct RouteMetrics {
    handles: [[OnceLock<Handles>; CLASSES.len()]; METHODS.len()],
}

struct Handles {
    requests: Counter,
    latency: Histogram,
}

/// Labels must be few: what a client makes up is `OTHER`.
const METHODS: [&str; 8] = [
    "OTHER", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
];
const CLASSES: [&str; 6] = ["aborted", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl RequestMetrics {
    /// After [`install`].
    pub fn new() -> Self {
        Self {
            in_flight: gauge!(IN_FLIGHT),
            routes: RwLock::default(),
        }
    }

    pub fn begun(&self) {
        self.in_flight.increment(1.0);
    }

    pub fn ended(&self) {
        self.in_flight.decrement(1.0);
    }

    pub fn record(
        &self,
        method: &Method,
        route: &str,
        status: Option<StatusCode>,
        latency: Duration,
    ) {
        let metrics = self.route(route);
        let method = METHODS
            .iter()
            .position(|known| *known == method.as_str())
            .unwrap_or(0);
        let class = status
            .map_or(0, |status| usize::from(status.as_u16() / 100))
            .min(CLASSES.len() - 1);
        let Some(slot) = metrics
            .handles
            .get(method)
            .and_then(|classes| classes.get(class))
        else {
            return;
        };
        let handles = slot.get_or_init(|| {
            let labels = [
                ("route", route.to_owned()),
                ("method", METHODS[method].to_owned()),
                ("status", CLASSES[class].to_owned()),
            ];
            Handles {
                requests: counter!(REQUESTS, &labels),
                latency: histogram!(LATENCY, &labels),
            }
        });
        handles.requests.increment(1);
        handles.latency.record(latency.as_secs_f64());
    }

    fn route(&self, route: &str) -> Arc<RouteMetrics> {
        let known = self
            .routes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(route)
            .cloned();
        known.unwrap_or_else(|| {
            let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
            routes.entry(route.to_owned()).or_default().clone()
        })
    }
}
