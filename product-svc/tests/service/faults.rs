//! The switches of the two experiments.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::support::{Reply, Request, Service};
use serde_json::json;

const CATALOG: &[&str] = &["--config", "config/catalog.toml"];
const RECOMMENDATIONS: &[&str] = &["--config", "config/recommendations.toml"];
/// A hang short enough to wait for, long enough to tell from an answer at once.
const HANG: Duration = Duration::from_millis(300);
/// Makes the shipped hangs exactly [`HANG`].
const SHORT: &[&str] = &[
    "--set",
    "faults.rule[0].delay=300ms",
    "--set",
    "faults.rule[0].delay_max=300ms",
];

async fn timed(address: SocketAddr, path: &str) -> (Reply, Duration) {
    let started = Instant::now();
    let reply = Request::get(path).send(address).await;
    (reply, started.elapsed())
}

async fn assert_failing(service: &Service) {
    for path in ["/products", "/products/1", "/products/6"] {
        let (reply, took) = timed(service.http, path).await;
        reply.problem(503);
        assert!(
            took >= HANG,
            "{path} failed after {took:?}, before the configured hang"
        );
    }
    service.get("/product/health").await.problem(503);
    for path in ["/health", "/recommendations/1"] {
        assert_eq!(service.get(path).await.status, 200, "{path}");
    }
}

async fn assert_healthy(service: &Service) {
    for path in [
        "/products",
        "/products/1",
        "/product/health",
        "/health",
        "/recommendations/1",
    ] {
        assert_eq!(service.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn switched_on_and_off() {
    let service = Service::start(&[CATALOG, SHORT].concat()).await;
    assert_healthy(&service).await;

    let on = service.post("/fail/on").await;
    assert_eq!(
        (on.status.as_u16(), on.json()),
        (200, json!({"message": "Failure enabled"}))
    );
    assert_failing(&service).await;
    // Twice is the same as once.
    assert_eq!(service.post("/fail/on").await.status, 200);
    assert_failing(&service).await;

    let off = service.post("/fail/off").await;
    assert_eq!(
        (off.status.as_u16(), off.json()),
        (200, json!({"message": "Failure disabled"}))
    );
    assert_healthy(&service).await;
    assert_eq!(service.post("/fail/off").await.status, 200);
    assert_healthy(&service).await;
}

#[tokio::test]
async fn product_health_fails_at_once() {
    // With hangs that nobody could wait for.
    let hang = [
        "--set",
        "faults.rule[0].delay=1h",
        "--set",
        "faults.rule[0].delay_max=1h",
    ];
    let service = Service::start(&[CATALOG, &hang].concat()).await;
    service.post("/fail/on").await;
    service.get("/product/health").await.problem(503);
}

#[tokio::test]
async fn hangs_last_up_to_the_configured_time() {
    let up_to = ["--set", "faults.rule[0].delay_max=400ms"];
    let service = Service::start(&[CATALOG, &up_to].concat()).await;
    service.post("/fail/on").await;
    let address = service.http;
    let calls: Vec<_> = (0..30)
        .map(|_| tokio::spawn(timed(address, "/products/1")))
        .collect();
    let mut times = Vec::new();
    for call in calls {
        let (reply, took) = call.await.unwrap();
        reply.problem(503);
        times.push(took);
    }
    let (shortest, longest) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    // Thirty equal draws out of 400 ms are not a thing that happens.
    assert!(
        *longest - *shortest > Duration::from_millis(100),
        "{times:?}"
    );
}

#[tokio::test]
async fn switches_do_not_exist_unless_enabled() {
    for args in [
        &[][..],
        &[
            "--config",
            "config/catalog.toml",
            "--set",
            "faults.enabled=false",
        ],
    ] {
        let service = Service::start(args).await;
        for path in ["/fail/on", "/fail/off"] {
            assert_eq!(service.post(path).await.problem(404), "Not Found", "{path}");
            assert_eq!(service.get(path).await.problem(404), "Not Found", "{path}");
        }
        assert_healthy(&service).await;
    }
}

#[tokio::test]
async fn simulate_failure_starts_with_the_failure_on() {
    let service =
        Service::start_with_env(&[CATALOG, SHORT].concat(), &[("SIMULATE_FAILURE", "true")]).await;
    assert_failing(&service).await;
    service.post("/fail/off").await;
    assert_healthy(&service).await;
}

#[tokio::test]
async fn simulate_failure_may_say_no() {
    for args in [CATALOG, RECOMMENDATIONS] {
        let service = Service::start_with_env(args, &[("SIMULATE_FAILURE", "false")]).await;
        assert_eq!(service.get("/recommendations/1").await.status, 200);
    }
}

#[tokio::test]
async fn the_recommendations_service_hangs_and_then_times_out() {
    let args = [RECOMMENDATIONS, SHORT].concat();
    let service = Service::start_with_env(&args, &[("SIMULATE_FAILURE", "true")]).await;
    let (reply, took) = timed(service.http, "/recommendations/1").await;
    reply.problem(408);
    assert!(took >= HANG, "{took:?}");
    assert_eq!(service.get("/health").await.status, 200);

    service.post("/fail/off").await;
    assert_eq!(service.get("/recommendations/1").await.status, 200);
}

#[tokio::test]
async fn shipped_delays_are_the_published_ones() {
    let print = |config| async move {
        crate::support::run(&["--config", config, "--print-config"], &[])
            .await
            .stdout
    };
    let catalog = print("config/catalog.toml").await;
    for line in ["delay_max = \"5s\"", "status = 503", "\"/products/{id}\""] {
        assert!(catalog.contains(line), "{line} in:\n{catalog}");
    }
    let recommendations = print("config/recommendations.toml").await;
    for line in [
        "delay = \"30s\"",
        "delay_max = \"30s\"",
        "status = 408",
        "\"/recommendations/{product_id}\"",
    ] {
        assert!(
            recommendations.contains(line),
            "{line} in:\n{recommendations}"
        );
    }
}
