//! The ops listener: liveness, readiness, metrics, guards. Never routed from outside.

use crate::runtime::{BreakerRegistry, Context, Readiness};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

#[derive(Clone)]
struct Ops {
    readiness: Readiness,
    registry: BreakerRegistry,
    metrics: PrometheusHandle,
}

pub(crate) fn router(context: &Context, metrics: PrometheusHandle) -> Router {
    let ops = Ops {
        readiness: context.readiness().clone(),
        registry: context.breakers(),
        metrics,
    };
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .route("/breakers", get(breakers))
        .with_state(ops)
}

async fn livez() -> Response {
    Json(json!({ "status": "alive" })).into_response()
}

async fn readyz(State(ops): State<Ops>) -> Response {
    let reason = ops.readiness.reason();
    let status = if reason == "ready" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({ "status": reason }))).into_response()
}

async fn metrics_text(State(ops): State<Ops>) -> Response {
    ops.registry.refresh_metrics();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        ops.metrics.render(),
    )
        .into_response()
}

async fn breakers(State(ops): State<Ops>) -> Response {
    Json(ops.registry.report()).into_response()
}
