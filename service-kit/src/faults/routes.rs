//! The endpoints that turn the switch.

use super::FaultSwitch;
use crate::extract::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};

/// `POST /fail/on` and `POST /fail/off`.
pub(crate) fn switch_routes(switch: &FaultSwitch) -> Router {
    Router::new()
        .route("/fail/on", post(turn_on))
        .route("/fail/off", post(turn_off))
        .with_state(switch.clone())
}

async fn turn_on(State(switch): State<FaultSwitch>) -> Json<Value> {
    switch.turn_on();
    tracing::warn!("fault injection switched on");
    Json(json!({ "message": "Failure enabled" }))
}

async fn turn_off(State(switch): State<FaultSwitch>) -> Json<Value> {
    switch.turn_off();
    tracing::warn!("fault injection switched off");
    Json(json!({ "message": "Failure disabled" }))
}
