//! `GET /circuit-status`: every circuit's state, what its rules see, and its latest transitions.

use axum::{Json, extract::State, http::header::CACHE_CONTROL, response::IntoResponse};
use serde::Serialize;
use service_kit::runtime::BreakerRegistry;

#[derive(Debug, Serialize)]
struct CircuitStatus<Report> {
    circuits: Vec<Report>,
}

/// Answers `GET /circuit-status`.
pub async fn show(State(breakers): State<BreakerRegistry>) -> impl IntoResponse {
    let circuits = breakers.report().breakers;
    (
        [(CACHE_CONTROL, "no-store")],
        Json(CircuitStatus { circuits }),
    )
}
