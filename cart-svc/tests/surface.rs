//! The HTTP surface of both variants with a healthy product service: exact answers, and every bad input.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;

use axum::body::Body;
use common::{client::post, directory::Directory, product::FakeProducts, service::Service};
use http::Request;
use serde_json::{Value, json};

struct Shop {
    products: FakeProducts,
    service: Service,
    _directory: Directory,
}

fn shop(variant: &str) -> Shop {
    let products = FakeProducts::start();
    let directory = Directory::new();
    Shop {
        service: Service::start(variant, &directory, &products.url(), &[]),
        products,
        _directory: directory,
    }
}

#[tokio::test]
async fn health_says_which_variant_it_is() {
    let vulnerable = shop("vulnerable");
    let health = vulnerable.service.http.get("/vulnerable/health").await.ok();
    assert_eq!(health, json!({"status": "healthy", "mode": "vulnerable"}));
    vulnerable
        .service
        .http
        .get("/fixed/health")
        .await
        .problem(404);

    let fixed = shop("fixed");
    let health = fixed.service.http.get("/fixed/health").await.ok();
    assert_eq!(
        health,
        json!({"status": "healthy", "mode": "protected", "circuit_breaker_state": "CLOSED"})
    );
}

#[tokio::test]
async fn an_added_item_is_in_the_view() {
    for variant in ["vulnerable", "fixed"] {
        let shop = shop(variant);
        let http = &shop.service.http;

        let added = http.add(variant, "ann", 2, 2).await.ok();
        assert_eq!(
            added,
            json!({
                "message": "Item added to cart",
                "user_id": "ann",
                "item": {"product_id": 2, "name": "Mouse", "price": 29.99, "added": 2, "quantity": 2, "subtotal": 59.98},
                "cart": {"lines": 1, "quantity": 2, "total": 59.98},
                "degraded": false,
            })
        );
        http.add(variant, "ann", 1, 1).await.ok();
        http.add(variant, "ann", 2, 1).await.ok();

        let view = http.view(variant, "ann").await.ok();
        assert_eq!(
            view,
            json!({
                "user_id": "ann",
                "items": [
                    {"product_id": 2, "name": "Mouse", "price": 29.99, "quantity": 3, "subtotal": 89.97, "available": true, "degraded": false},
                    {"product_id": 1, "name": "Laptop", "price": 999.99, "quantity": 1, "subtotal": 999.99, "available": true, "degraded": false},
                ],
                "total": 1089.96,
                "degraded": false,
            })
        );
        let empty = http.view(variant, "bob").await.ok();
        assert_eq!(
            empty,
            json!({"user_id": "bob", "items": [], "total": 0.0, "degraded": false})
        );
    }
}

#[tokio::test]
async fn an_integer_and_its_text_are_one_user() {
    let shop = shop("fixed");
    let body = r#"{"user_id":7,"product_id":1,"quantity":1}"#;
    let added = shop.service.http.post("/fixed/cart/add", body).await.ok();
    assert_eq!(added["user_id"], "7");
    shop.service.http.add("fixed", "7", 1, 1).await.ok();
    let view = shop.service.http.view("fixed", "7").await.ok();
    assert_eq!(view["items"][0]["quantity"], 2);
}

#[tokio::test]
async fn a_product_that_left_the_catalog_is_shown_but_not_counted() {
    for variant in ["vulnerable", "fixed"] {
        let shop = shop(variant);
        let http = &shop.service.http;
        http.add(variant, "ann", 1, 1).await.ok();
        http.add(variant, "ann", 2, 1).await.ok();
        shop.products.remove(1);

        let view = http.view(variant, "ann").await.ok();
        assert_eq!(view["items"][0]["available"], false);
        assert_eq!(view["items"][0]["name"], "Laptop");
        assert_eq!(view["total"], 29.99);
        assert_eq!(view["degraded"], false);
    }
}

#[tokio::test]
async fn an_unknown_product_is_404_and_no_failure() {
    for variant in ["vulnerable", "fixed"] {
        let shop = shop(variant);
        let http = &shop.service.http;
        for _ in 0..10 {
            let problem = http.add(variant, "ann", 99, 1).await.problem(404);
            assert_eq!(problem["product_id"], 99);
        }
        assert_eq!(http.view(variant, "ann").await.ok()["items"], json!([]));
        if variant == "fixed" {
            assert_eq!(http.circuit().await, "CLOSED");
        }
    }
}

#[tokio::test]
async fn a_repeated_key_repeats_the_answer() {
    let shop = shop("fixed");
    let http = &shop.service.http;
    let request = |key: &str, quantity: i64| {
        let mut request = post(
            "/fixed/cart/add",
            common::client::add_body("ann", 1, quantity),
        );
        request
            .headers_mut()
            .insert("idempotency-key", key.parse().unwrap());
        request
    };
    let first = http.send(request("k1", 2)).await;
    let calls = shop.products.calls();
    let again = http.send(request("k1", 2)).await;
    assert_eq!(first.text, again.text);
    assert_eq!(
        (
            first.header("idempotency-replayed"),
            again.header("idempotency-replayed")
        ),
        ("", "true")
    );
    assert_eq!(shop.products.calls(), calls, "a replay asks nobody");

    let problem = http.send(request("k1", 3)).await.problem(422);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("Idempotency-Key"),
        "{problem}"
    );
    assert_eq!(
        http.send(request("k2", 3)).await.ok()["item"]["quantity"],
        5
    );

    http.send(request(&"k".repeat(256), 1)).await.problem(400);
    http.send(request("two words", 1)).await.problem(400);
    let mut twice = request("k3", 1);
    twice
        .headers_mut()
        .append("idempotency-key", "k4".parse().unwrap());
    http.send(twice).await.problem(400);
}

/// What is wrong, the body, the status, and what the detail must name.
const BAD_BODIES: &[(&str, &str, u16, &[&str])] = &[
    (
        "not JSON",
        r#"{"user_id": "ann","#,
        400,
        &["JSON", "line 1"],
    ),
    ("no JSON at all", "user_id=ann", 400, &["JSON"]),
    ("empty", "", 400, &["empty"]),
    (
        "more than one value",
        r#"{"user_id":"ann","product_id":1,"quantity":1} {}"#,
        400,
        &["JSON"],
    ),
    ("an array", "[1]", 422, &[]),
    (
        "user missing",
        r#"{"product_id":1,"quantity":1}"#,
        422,
        &["user_id"],
    ),
    (
        "product missing",
        r#"{"user_id":"ann","quantity":1}"#,
        422,
        &["product_id"],
    ),
    (
        "quantity missing",
        r#"{"user_id":"ann","product_id":1}"#,
        422,
        &["quantity"],
    ),
    (
        "quantity a text",
        r#"{"user_id":"ann","product_id":1,"quantity":"2"}"#,
        422,
        &["quantity"],
    ),
    (
        "quantity null",
        r#"{"user_id":"ann","product_id":1,"quantity":null}"#,
        422,
        &["quantity"],
    ),
    (
        "quantity a fraction",
        r#"{"user_id":"ann","product_id":1,"quantity":1.5}"#,
        422,
        &["quantity", "1.5"],
    ),
    (
        "quantity zero",
        r#"{"user_id":"ann","product_id":1,"quantity":0}"#,
        422,
        &["quantity", "is 0", "1 to 999"],
    ),
    (
        "quantity negative",
        r#"{"user_id":"ann","product_id":1,"quantity":-3}"#,
        422,
        &["quantity", "-3", "1 to 999"],
    ),
    (
        "quantity too large",
        r#"{"user_id":"ann","product_id":1,"quantity":1000}"#,
        422,
        &["quantity", "1000", "1 to 999"],
    ),
    (
        "quantity absurd",
        r#"{"user_id":"ann","product_id":1,"quantity":1e300}"#,
        422,
        &["quantity"],
    ),
    (
        "quantity beyond 64 bits",
        r#"{"user_id":"ann","product_id":1,"quantity":99999999999999999999}"#,
        422,
        &["quantity"],
    ),
    (
        "product a text",
        r#"{"user_id":"ann","product_id":"1","quantity":1}"#,
        422,
        &["product_id"],
    ),
    (
        "product zero",
        r#"{"user_id":"ann","product_id":0,"quantity":1}"#,
        422,
        &["product_id", "is 0", "1 or more"],
    ),
    (
        "product negative",
        r#"{"user_id":"ann","product_id":-1,"quantity":1}"#,
        422,
        &["product_id", "-1"],
    ),
    (
        "user empty",
        r#"{"user_id":"","product_id":1,"quantity":1}"#,
        422,
        &["user_id", "1 to 128"],
    ),
    (
        "user with a control",
        "{\"user_id\":\"a\\u0000b\",\"product_id\":1,\"quantity\":1}",
        422,
        &["user_id"],
    ),
    (
        "user with a space",
        r#"{"user_id":"a b","product_id":1,"quantity":1}"#,
        422,
        &["user_id"],
    ),
    (
        "user a fraction",
        r#"{"user_id":1.5,"product_id":1,"quantity":1}"#,
        422,
        &["user_id"],
    ),
    (
        "user true",
        r#"{"user_id":true,"product_id":1,"quantity":1}"#,
        422,
        &["user_id", "string or an integer"],
    ),
    (
        "user an object",
        r#"{"user_id":{},"product_id":1,"quantity":1}"#,
        422,
        &["user_id"],
    ),
    (
        "an unknown member",
        r#"{"user_id":"ann","product_id":1,"quantity":1,"price":1}"#,
        422,
        &["price"],
    ),
    (
        "a member twice",
        r#"{"user_id":"ann","user_id":"bob","product_id":1,"quantity":1}"#,
        422,
        &["user_id"],
    ),
    (
        "three wrong values",
        r#"{"user_id":" ","product_id":0,"quantity":0}"#,
        422,
        &["user_id", "product_id", "quantity"],
    ),
];

#[tokio::test]
async fn bad_bodies_are_specific_problems_and_store_nothing() {
    for variant in ["vulnerable", "fixed"] {
        let shop = shop(variant);
        let http = &shop.service.http;
        let path = format!("/{variant}/cart/add");

        for (what, body, status, names) in BAD_BODIES {
            let problem = http.post(&path, *body).await.problem(*status);
            let detail = problem["detail"].as_str().unwrap();
            for name in *names {
                assert!(
                    detail.contains(name),
                    "{what}: {name:?} is not in {detail:?}"
                );
            }
        }
        let long = common::client::add_body(&"x".repeat(129), 1, 1);
        let problem = http.post(&path, long).await.problem(422);
        assert!(
            problem["detail"].as_str().unwrap().len() < 300,
            "a long value is not sent back whole: {problem}"
        );

        assert_eq!(
            shop.products.calls(),
            0,
            "{variant}: no bad request reaches product-svc"
        );
        for user in ["ann", "bob", "1.5", "true"] {
            assert_eq!(
                http.view(variant, user).await.ok()["items"],
                json!([]),
                "{user}"
            );
        }
    }
}

#[tokio::test]
async fn wrong_values_are_listed_for_programs() {
    let shop = shop("fixed");
    let body = r#"{"user_id":"ann","product_id":0,"quantity":1000}"#;
    let problem = shop
        .service
        .http
        .post("/fixed/cart/add", body)
        .await
        .problem(422);
    assert_eq!(
        problem["errors"],
        json!([
            {"pointer": "/product_id", "value": 0, "allowed": "an integer of 1 or more"},
            {"pointer": "/quantity", "value": 1000, "allowed": "an integer from 1 to 999"},
        ])
    );
}

#[tokio::test]
async fn a_line_has_a_limit() {
    let shop = shop("fixed");
    let http = &shop.service.http;
    for _ in 0..10 {
        http.add("fixed", "ann", 1, 999).await.ok();
    }
    let problem = http.add("fixed", "ann", 1, 10).await.problem(422);
    assert_eq!(problem["in_cart"], 9_990);
    assert_eq!(problem["pointer"], "/quantity");
    assert!(
        problem["detail"].as_str().unwrap().contains("at most 9"),
        "{problem}"
    );
    assert_eq!(
        http.view("fixed", "ann").await.ok()["items"][0]["quantity"],
        9_990
    );
    http.add("fixed", "ann", 1, 9).await.ok();
}

#[tokio::test]
async fn wrong_requests_are_specific_problems() {
    let shop = shop("fixed");
    let http = &shop.service.http;
    let good = common::client::add_body("ann", 1, 1);

    let unknown = http.get("/fixed/cart/nothing").await.problem(404);
    assert_eq!(unknown["detail"], "Not Found");
    assert_eq!(http.get("/").await.problem(404)["detail"], "Not Found");
    assert_eq!(
        http.get("/fixed/cart/add/").await.problem(404)["detail"],
        "Not Found"
    );

    let wrong_method = http.get("/fixed/cart/add").await;
    wrong_method.problem(405);
    assert_eq!(wrong_method.header("allow"), "POST");
    let wrong_method = http.post("/fixed/cart/view?user_id=ann", "{}").await;
    wrong_method.problem(405);
    assert!(wrong_method.header("allow").contains("GET"));

    let untyped = Request::post("/fixed/cart/add")
        .body(Body::from(good.clone()))
        .unwrap();
    http.send(untyped).await.problem(415);
    let mistyped = Request::post("/fixed/cart/add")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(good))
        .unwrap();
    http.send(mistyped).await.problem(415);

    let huge = format!(
        r#"{{"user_id":"{}","product_id":1,"quantity":1}}"#,
        "x".repeat(70_000)
    );
    http.post("/fixed/cart/add", huge).await.problem(413);

    for query in [
        "",
        "?",
        "?user=ann",
        "?user_id=",
        "?user_id=a%20b",
        "?user_id=a%00",
        "?user_id=%zz",
        "?user_id=%ff",
        "?user_id=ann&user_id=bob",
        "?user_id=ann&colour=red",
    ] {
        let problem = http
            .get(&format!("/fixed/cart/view{query}"))
            .await
            .problem(400);
        let detail = problem["detail"].as_str().unwrap().to_lowercase();
        assert!(detail.contains("query"), "{query}: {detail}");
    }
    let long = format!("/fixed/cart/view?user_id={}", "x".repeat(129));
    http.get(&long).await.problem(400);

    assert_eq!(shop.products.calls(), 0);
    assert_eq!(http.view("fixed", "ann").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn the_trace_goes_on_to_product_svc() {
    let shop = shop("fixed");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut request = post("/fixed/cart/add", common::client::add_body("ann", 1, 1));
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    request
        .headers_mut()
        .insert("traceparent", parent.parse().unwrap());
    shop.service.http.send(request).await.ok();

    let headers = shop.products.headers();
    let passed_on = headers[0]["traceparent"].to_str().unwrap();
    assert!(passed_on.contains(trace), "{passed_on}");
}

#[tokio::test]
async fn the_ops_listener_shows_health_guards_and_metrics() {
    let shop = shop("fixed");
    let ops = &shop.service.ops;
    assert_eq!(ops.get("/livez").await.status, 200);
    assert_eq!(ops.get("/readyz").await.status, 200);
    shop.service.http.add("fixed", "ann", 1, 1).await.ok();

    let guards: Value = ops.get("/breakers").await.json();
    assert_eq!(guards["breakers"][0]["name"], "product");
    assert_eq!(guards["breakers"][0]["succeeded"], 1);
    assert_eq!(guards["bulkheads"][0]["name"], "product");
    let metrics = ops.get("/metrics").await.text;
    assert!(metrics.contains("cart_store_commits_total 1"), "{metrics}");
    assert_eq!(
        shop.service.http.get("/metrics").await.status,
        404,
        "never on the public listener"
    );
}
