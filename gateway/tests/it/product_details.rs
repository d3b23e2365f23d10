//! The aggregated page, with and without protection: the same handler over two configurations.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    client::{Answer, get},
    config,
    gateway::Gateway,
    poll::until,
    upstream::{Behaviour, Upstream},
};

const PRODUCT: &str = r#"{"id":1,"name":"Laptop","price":999.99,"stock":10}"#;
const RECOMMENDATIONS: &str =
    r#"{"product_id":1,"recommendations":[{"id":2,"name":"Mouse","price":29.99,"stock":100}]}"#;

struct Shop {
    product: Upstream,
    recommendations: Upstream,
    gateway: Gateway,
}

impl Shop {
    async fn open(version: &str, set: &[&str]) -> Self {
        Self::open_with(&config::shipped(version), set).await
    }

    async fn open_with(config: &Path, set: &[&str]) -> Self {
        let product = Upstream::start(Behaviour::Json(PRODUCT)).await;
        let recommendations = Upstream::start(Behaviour::Json(RECOMMENDATIONS)).await;
        let mut settings = vec![
            format!("upstreams.product.url={}", product.url()),
            format!("upstreams.recommendations.url={}", recommendations.url()),
        ];
        settings.extend(set.iter().map(|&setting| setting.to_owned()));
        let gateway = Gateway::start(config, &settings).await;
        Self {
            product,
            recommendations,
            gateway,
        }
    }

    async fn page(&self, id: &str) -> Answer {
        get(self.gateway.http, &format!("/product-details/{id}")).await
    }

    async fn circuit(&self) -> Value {
        get(self.gateway.http, "/circuit-status").await.json()["circuits"][0].clone()
    }
}

fn assert_complete(answer: &Answer) {
    assert_eq!(answer.status, 200);
    let mut page = answer.json();
    let timestamp = page["timestamp"].take();
    let timestamp = timestamp.as_str().unwrap();
    assert!(
        timestamp.len() == 24 && timestamp.ends_with('Z'),
        "{timestamp}"
    );
    let expected = json!({
        "product": serde_json::from_str::<Value>(PRODUCT).unwrap(),
        "recommendations": [{"id": 2, "name": "Mouse", "price": 29.99, "stock": 100}],
        "degraded_mode": false,
        "timestamp": null,
    });
    assert_eq!(page, expected);
}

fn assert_degraded(answer: &Answer) {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let page = answer.json();
    assert_eq!(
        page["product"],
        serde_json::from_str::<Value>(PRODUCT).unwrap()
    );
    assert_eq!(page["recommendations"], json!([]));
    assert_eq!(page["degraded_mode"], true);
    assert!(page["timestamp"].is_string());
}

#[tokio::test]
async fn both_versions_deliver_the_whole_page_in_health() {
    for version in ["v1.toml", "v2.toml"] {
        let shop = Shop::open(version, &[]).await;
        assert_complete(&shop.page("1").await);
        assert_complete(&shop.page("1?page=2").await);
        assert_eq!(shop.product.seen()[1].target, "/products/1");
        assert_eq!(shop.recommendations.seen()[1].target, "/recommendations/1");
        let metrics = get(shop.gateway.ops, "/metrics").await.body;
        let metrics = String::from_utf8_lossy(&metrics);
        assert!(
            metrics.contains("route=\"/product-details/{id}\""),
            "{metrics}"
        );
    }
}

#[tokio::test]
async fn both_upstreams_are_asked_at_once() {
    let shop = Shop::open("v1.toml", &["upstreams.recommendations.timeout=30s"]).await;
    shop.product.behave(Behaviour::Hang);
    shop.recommendations.behave(Behaviour::Hang);
    let page = tokio::spawn({
        let http = shop.gateway.http;
        async move { get(http, "/product-details/1").await }
    });
    until("both calls arrive", async || {
        (shop.product.arrivals() == 1 && shop.recommendations.arrivals() == 1).then_some(())
    })
    .await;
    // A client that goes away ends both.
    page.abort();
    shop.product.cancelled(1).await;
    shop.recommendations.cancelled(1).await;
}

#[tokio::test]
async fn what_the_product_upstream_answers_decides_the_page() {
    for version in ["v1.toml", "v2.toml"] {
        let shop = Shop::open(version, &["upstreams.product.timeout=100ms"]).await;
        for (behaviour, status) in [
            (Behaviour::Status(404, &[]), 404),
            (Behaviour::Status(500, &[]), 502),
            (Behaviour::Status(503, &[]), 502),
            (Behaviour::Status(400, &[]), 502),
            (Behaviour::Status(408, &[]), 504),
            (Behaviour::Garbage, 502),
            (Behaviour::Json("[1]"), 502),
            (Behaviour::Truncate, 502),
            (Behaviour::Endless, 502),
            (Behaviour::Hang, 504),
            (Behaviour::StallBody, 504),
        ] {
            shop.product.behave(behaviour);
            let answer = shop.page("1").await;
            let detail = answer.problem(status);
            assert!(!detail.contains("127.0.0.1"), "{detail}");
        }
        if version == "v2.toml" {
            let circuit = shop.circuit().await;
            assert_eq!(
                circuit["state"], "CLOSED",
                "the product's failures are not the recommendations': {circuit}"
            );
        }
    }
}

#[tokio::test]
async fn a_wrong_id_is_the_clients_mistake_and_reaches_nobody() {
    let shop = Shop::open("v2.toml", &[]).await;
    for id in [
        "x",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "0x1",
        "%20",
        "1%20",
        "0",
        "01",
        "9223372036854775808",
        "18446744073709551616",
        "NaN",
        "%D9%A1",
    ] {
        let detail = shop.page(id).await.problem(400);
        assert!(detail.contains("whole number"), "{id}: {detail}");
    }
    assert_eq!(shop.page("9223372036854775807").await.status, 200);
    assert_eq!(shop.product.arrivals(), 1);
    assert_eq!(shop.recommendations.arrivals(), 1);
}

#[tokio::test]
async fn v1_fails_with_either() {
    let shop = Shop::open("v1.toml", &["upstreams.recommendations.timeout=400ms"]).await;
    for (behaviour, status) in [
        (Behaviour::Hang, 504),
        (Behaviour::Status(500, &[]), 502),
        (Behaviour::Garbage, 502),
        (Behaviour::Truncate, 502),
    ] {
        shop.recommendations.behave(behaviour);
        shop.page("1").await.problem(status);
    }
    shop.recommendations
        .behave(Behaviour::Json(RECOMMENDATIONS));
    assert_complete(&shop.page("1").await);
    assert_eq!(
        get(shop.gateway.http, "/circuit-status").await.json(),
        json!({ "circuits": [] })
    );
}

#[tokio::test]
async fn v2_delivers_the_product_whatever_the_recommendations_do_and_counts_every_useless_answer() {
    for behaviour in [
        Behaviour::Hang,
        Behaviour::Status(500, &[]),
        Behaviour::Status(408, &[]),
        Behaviour::Garbage,
        Behaviour::Json("{\"product_id\":1}"),
        Behaviour::Truncate,
        Behaviour::StallBody,
        Behaviour::Endless,
    ] {
        let set = [
            "upstreams.recommendations.breaker.open_for=1h",
            "upstreams.recommendations.timeout=400ms",
        ];
        let shop = Shop::open("v2.toml", &set).await;
        shop.recommendations.behave(behaviour);
        for _ in 0..10 {
            assert_degraded(&shop.page("1").await);
        }
        let circuit = shop.circuit().await;
        assert_eq!(circuit["state"], "OPEN", "{circuit}");
        assert_eq!(shop.recommendations.arrivals(), 3);
        assert_eq!(shop.product.arrivals(), 10);
    }
}

/// A product without recommendations is no failure, nor is a page that is not there a reason to blame anyone.
#[tokio::test]
async fn v2_is_not_degraded_by_answers_that_are_answers() {
    let shop = Shop::open("v2.toml", &["upstreams.recommendations.timeout=1h"]).await;
    shop.recommendations.behave(Behaviour::Status(404, &[]));
    for _ in 0..5 {
        let page = shop.page("1").await.json();
        assert_eq!(page["recommendations"], json!([]));
        assert_eq!(page["degraded_mode"], false);
    }
    shop.recommendations.behave(Behaviour::Hang);
    shop.product.behave(Behaviour::Status(404, &[]));
    for _ in 0..5 {
        // At once, although the other call would take an hour.
        shop.page("1").await.problem(404);
    }
    assert_eq!(shop.circuit().await["state"], "CLOSED");
}

/// Pages are asked for all the time, through several open periods and out of the outage.
async fn through_an_outage_and_back(config: &Path, users_make_the_trials: bool) {
    let set = [
        "upstreams.recommendations.breaker.open_for=300ms",
        "upstreams.recommendations.timeout=400ms",
    ];
    let shop = Shop::open_with(config, &set).await;
    assert_complete(&shop.page("7").await);
    shop.recommendations.behave(Behaviour::Hang);

    for _ in 0..3 {
        let start = Instant::now();
        assert_degraded(&shop.page("7").await);
        assert!(start.elapsed() >= Duration::from_millis(400), "a slow call");
    }
    let circuit = shop.circuit().await;
    assert_eq!(circuit["name"], "recommendations");
    assert_eq!(circuit["transitions"][0]["from"], "CLOSED");
    assert_eq!(circuit["transitions"][0]["to"], "OPEN");
    assert_eq!(circuit["transitions"][0]["cause"], "consecutive_failures");
    assert!(circuit["transitions"][0]["at_unix_ms"].as_u64().unwrap() > 1_600_000_000_000);

    // From here on, what is asked of the upstream is a trial, and a page that asks it nothing has nothing to wait for.
    let trials = || shop.recommendations.arrivals() - 4;
    let mut pages = 0;
    until("three trials have failed", async || {
        assert_degraded(&shop.page("7").await);
        pages += 1;
        (shop.circuit().await["trials_failed"].as_u64()? >= 3).then_some(())
    })
    .await;
    let circuit = shop.circuit().await;
    let transitions = circuit["transitions"].as_array().unwrap();
    let open_periods = transitions
        .iter()
        .filter(|transition| transition["to"] == "HALF_OPEN")
        .count();
    assert!(
        trials() <= open_periods,
        "{} trials in {open_periods} open periods",
        trials()
    );
    let trials_by_users = if users_make_the_trials { trials() } else { 0 };
    assert_eq!(circuit["refused"], pages - trials_by_users, "{circuit}");

    shop.recommendations
        .behave(Behaviour::Json(RECOMMENDATIONS));
    let recovered = until("the page is whole again", async || {
        let answer = shop.page("7").await;
        (answer.json()["degraded_mode"] == false).then_some(answer)
    })
    .await;
    assert_complete(&recovered);
    let circuit = shop.circuit().await;
    assert_eq!(circuit["state"], "CLOSED");
    let last = circuit["transitions"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["from"], &last["to"]),
        (&json!("HALF_OPEN"), &json!("CLOSED"))
    );

    let targets = shop.recommendations.seen();
    let by_users = targets
        .iter()
        .filter(|seen| seen.target == "/recommendations/7")
        .count();
    let by_probes = targets.len() - by_users;
    assert_eq!(by_probes > 0, !users_make_the_trials);
    if !users_make_the_trials {
        assert_eq!(by_users, 1 + 3 + 1, "none while the circuit was not closed");
    }
}

#[tokio::test]
async fn v2_through_an_outage_and_back_with_trials_in_the_background() {
    through_an_outage_and_back(&config::shipped("v2.toml"), false).await;
}

#[tokio::test]
async fn v2_through_an_outage_and_back_with_users_making_the_trials() {
    let text = gateway::CONFIGS
        .iter()
        .find(|(name, _)| *name == "v2.toml")
        .unwrap()
        .1;
    let lazy = text
        .replace("recovery = \"probe\"", "")
        .replace("probe_path = \"/recommendations/1\"", "");
    assert_ne!(text, lazy);
    let file = config::file(&lazy);
    through_an_outage_and_back(&file, true).await;
}
