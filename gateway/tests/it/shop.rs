//! The shop's whole surface, as it is shipped.

use axum::body::Body;
use http::Request;

use crate::support::{
    client::{ask, get},
    config,
    gateway::Gateway,
    upstream::{Behaviour, Upstream},
};

#[tokio::test]
async fn every_path_of_the_shop_leads_to_its_service() {
    let product = Upstream::start(Behaviour::Json("{}")).await;
    let vulnerable = Upstream::start(Behaviour::Json("{}")).await;
    let fixed = Upstream::start(Behaviour::Json("{}")).await;
    let settings = [
        format!("upstreams.product.url={}", product.url()),
        format!("upstreams.cart-vulnerable.url={}", vulnerable.url()),
        format!("upstreams.cart-fixed.url={}", fixed.url()),
    ];
    let gateway = Gateway::start(&config::shipped("shop.toml"), &settings).await;
    for (method, target, service) in [
        ("GET", "/products", &product),
        ("GET", "/products/1", &product),
        ("GET", "/product/health", &product),
        ("POST", "/fail/on", &product),
        ("POST", "/fail/off", &product),
        ("GET", "/recommendations/1", &product),
        ("GET", "/vulnerable/health", &vulnerable),
        ("POST", "/vulnerable/cart/add", &vulnerable),
        ("GET", "/vulnerable/cart/view?user_id=1", &vulnerable),
        ("GET", "/fixed/health", &fixed),
        ("POST", "/fixed/cart/add", &fixed),
        ("GET", "/fixed/cart/view?user_id=1", &fixed),
    ] {
        let before = service.arrivals();
        let request = Request::builder().method(method).uri(target);
        let answer = ask(gateway.http, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{method} {target}");
        assert_eq!(service.arrivals(), before + 1, "{method} {target}");
        assert_eq!(service.seen().pop().unwrap().target, target);
    }
    let all = || product.arrivals() + vulnerable.arrivals() + fixed.arrivals();
    let before = all();
    let health = get(gateway.http, "/health").await.json();
    assert_eq!(health, serde_json::json!({ "status": "healthy" }));
    for unknown in [
        "/",
        "/nothing",
        "/fixed",
        "/product",
        "/product/health/x",
        "/PRODUCTS",
    ] {
        assert_eq!(get(gateway.http, unknown).await.problem(404), "Not Found");
    }
    assert_eq!(all(), before);
    let metrics = get(gateway.ops, "/metrics").await.body;
    let metrics = String::from_utf8_lossy(&metrics);
    for route in [
        "/health",
        "/products",
        "/products/{*rest}",
        "/fixed/{*rest}",
    ] {
        assert!(
            metrics.contains(&format!("route=\"{route}\"")),
            "{route}: {metrics}"
        );
    }
}
