//! The process's Prometheus recorder.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower_breaker::bulkhead::Waits;

/// Seconds: from a cached answer to a hung dependency.
const LATENCY_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0,
];

const WAITS: &str = "bulkhead_wait_seconds";

pub(super) const REQUESTS: &str = "http_server_requests_total";
pub(super) const LATENCY: &str = "http_server_request_duration_seconds";
pub(super) const IN_FLIGHT: &str = "http_server_requests_in_flight";

/// Installs the recorder once per process; several services in one process share it.
pub(crate) fn install() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let builder = PrometheusBuilder::new();
            // As the bulkheads count, so that nothing is lost on the way.
            let waits = Waits::BOUNDS.map(|bound| bound.as_secs_f64());
            let builder = builder
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCY_BUCKETS)
                .and_then(|builder| {
                    builder.set_buckets_for_metric(Matcher::Full(WAITS.to_owned()), &waits)
                })
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
