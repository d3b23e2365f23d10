//! `GET /{variant}/health`

use axum::extract::State;
use serde::Serialize;
use service_kit::extract::Json;

use super::App;

#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    circuit_breaker_state: Option<&'static str>,
}

pub(super) async fn health<P>(State(app): State<App<P>>) -> Json<Health> {
    Json(Health {
        status: "healthy",
        mode: app.variant.mode(),
        circuit_breaker_state: app.circuit.as_ref().map(|circuit| circuit.state().as_str()),
    })
}
