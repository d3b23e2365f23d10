use axum::Json;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
}

/// Tells clients that the service answers; whether it may be sent traffic is `/readyz` on the ops listener.
pub(super) async fn healthy() -> Json<Health> {
    Json(Health { status: "healthy" })
}
