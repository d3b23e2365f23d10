//! `GET /health`: that the gateway answers. It says nothing about the services behind it, or an outage of one of them would
//! take the gateway out of a load balancer that asks here, and all others with it.

use axum::Json;
use serde_json::{Value, json};

/// Answers `GET /health`.
pub async fn show() -> Json<Value> {
    Json(json!({ "status": "healthy" }))
}
