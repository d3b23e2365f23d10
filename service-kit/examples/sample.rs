//! The smallest service: what `run` gives it, on one page. Used by the process tests.
//!
//! `cargo run -p service-kit --example sample -- --set listen=127.0.0.1:0 --set ops.listen=127.0.0.1:0`

use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;
use service_kit::config::Section;
use service_kit::extract::{Json, Path, Query};
use service_kit::{Context, ServiceInfo, StartError};
use std::process::ExitCode;
use std::time::Duration;

const INFO: ServiceInfo = ServiceInfo {
    name: "sample",
    version: env!("CARGO_PKG_VERSION"),
    about: "A service that greets",
    env_prefix: "SAMPLE",
    env_aliases: &[("SIMULATE_FAILURE", "faults.simulate")],
    default_config: "listen = \"127.0.0.1:0\"\n[ops]\nlisten = \"127.0.0.1:0\"\n[faults]\nenabled = true\n",
    after_help: "",
};

struct Settings {
    greeting: String,
}

fn parse(root: &mut Section<'_>) -> Settings {
    Settings {
        greeting: root.string("greeting", "hello"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    item: String,
    quantity: u32,
}

#[derive(Deserialize)]
struct Who {
    name: String,
}

async fn start(settings: Settings, context: Context) -> Result<Router, StartError> {
    context.on_drained(async { tracing::info!("flushed") });
    Ok(Router::new()
        .route(
            "/greet",
            get(async move |Query(who): Query<Who>| format!("{} {}", settings.greeting, who.name)),
        )
        .route(
            "/items/{id}",
            get(async |Path(id): Path<u32>| format!("item {id}")),
        )
        .route(
            "/orders",
            post(async |Json(order): Json<Order>| format!("{} x {}", order.quantity, order.item)),
        )
        .route(
            "/hang",
            get(async || tokio::time::sleep(Duration::from_secs(3600)).await),
        )
        .route("/panic", get(panics)))
}

async fn panics() {
    let nothing: Option<u8> = None;
    assert!(nothing.is_some(), "this handler always panics");
}

fn main() -> ExitCode {
    service_kit::run(&INFO, std::env::args_os(), parse, start)
}
