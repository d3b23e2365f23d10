//! What clients see when nothing is wrong.

use crate::support::{Request, Service};
use serde_json::{Value, json};

const CATALOG: &[&str] = &["--config", "config/catalog.toml"];

fn numbers(products: &Value) -> Vec<u64> {
    products
        .as_array()
        .unwrap()
        .iter()
        .map(|product| product["id"].as_u64().unwrap())
        .collect()
}

/// `count` products numbered from 1, price 1.00 each, as a `--set` flag.
fn many(count: usize) -> String {
    let entries: Vec<_> = (1..=count)
        .map(|id| format!("{{id={id}, name=\"p{id}\", price=1, stock=1}}"))
        .collect();
    format!("catalog.product=[{}]", entries.join(","))
}

#[tokio::test]
async fn the_published_surface() {
    let service = Service::start(CATALOG).await;
    let laptop = json!({"id": 1, "name": "Laptop", "price": 999.99, "stock": 10});
    let mouse = json!({"id": 2, "name": "Mouse", "price": 29.99, "stock": 100});
    let keyboard = json!({"id": 3, "name": "Keyboard", "price": 79.99, "stock": 50});
    let monitor = json!({"id": 4, "name": "Monitor", "price": 199.99, "stock": 20});
    let headphones = json!({"id": 5, "name": "Headphones", "price": 149.99, "stock": 30});
    for (path, expected) in [
        ("/health", json!({"status": "healthy"})),
        ("/product/health", json!({"status": "healthy"})),
        (
            "/products",
            json!([laptop, mouse, keyboard, monitor, headphones]),
        ),
        ("/products/1", laptop.clone()),
        ("/products/5", headphones.clone()),
        (
            "/recommendations/1",
            json!({"product_id": 1, "recommendations": [monitor, headphones, keyboard, mouse]}),
        ),
        (
            "/recommendations/3",
            json!({"product_id": 3, "recommendations": [mouse, monitor, headphones, laptop]}),
        ),
    ] {
        let reply = service.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(
            reply.header("content-type"),
            Some("application/json"),
            "{path}"
        );
        assert_eq!(reply.json(), expected, "{path}");
    }
    // Numbers are compared as floats above; clients see text.
    let text = service.get("/products/1").await;
    assert_eq!(
        text.text(),
        r#"{"id":1,"name":"Laptop","price":999.99,"stock":10}"#
    );
}

#[tokio::test]
async fn answers_head_without_a_body() {
    let service = Service::start(CATALOG).await;
    let head = Request::new("HEAD", "/products").send(service.http).await;
    assert_eq!(head.status, 200);
    assert!(head.body.is_empty());
    let get = service.get("/products").await;
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

#[tokio::test]
async fn escaped_and_plain_digits_are_the_same_path() {
    let service = Service::start(CATALOG).await;
    assert_eq!(service.get("/products/%31").await.json()["name"], "Laptop");
}

#[tokio::test]
async fn pages_through_products() {
    let service = Service::start(CATALOG).await;
    for (query, expected) in [
        ("", vec![1, 2, 3, 4, 5]),
        ("?", vec![1, 2, 3, 4, 5]),
        ("?limit=2", vec![1, 2]),
        ("?limit=2&offset=2", vec![3, 4]),
        ("?offset=4&limit=2", vec![5]),
        ("?offset=5", vec![]),
        ("?offset=1000000000&limit=1000", vec![]),
        ("?limit=%32", vec![1, 2]),
        // What nobody defined is ignored, so that clients may tag their requests.
        ("?utm_source=mail&limit=1&&x", vec![1]),
    ] {
        let reply = service.get(&format!("/products{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {reply:?}");
        assert_eq!(numbers(&reply.json()), expected, "{query}");
        assert_eq!(reply.header("x-total-count"), Some("5"), "{query}");
    }
}

#[tokio::test]
async fn following_next_links_visits_every_product_once() {
    let service = Service::start(&["--set", &many(2345)]).await;
    let mut query = String::new();
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let reply = service.get(&format!("/products{query}")).await;
        assert_eq!(reply.header("x-total-count"), Some("2345"));
        seen.extend(numbers(&reply.json()));
        pages += 1;
        let Some(link) = reply.header("link") else {
            break;
        };
        let (target, relation) = link.split_once(';').unwrap();
        assert_eq!(relation.trim(), "rel=\"next\"");
        query = target
            .trim_start_matches('<')
            .trim_end_matches('>')
            .to_owned();
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, (1..=2345).collect::<Vec<u64>>());
}

#[tokio::test]
async fn recommends_as_many_as_asked_for() {
    let service = Service::start(&["--set", "recommendations.limit=2"]).await;
    for (path, expected) in [
        ("/recommendations/3", vec![2, 4]),
        ("/recommendations/3?limit=1", vec![2]),
        ("/recommendations/3?limit=100", vec![2, 4, 5, 1]),
    ] {
        assert_eq!(
            numbers(&service.get(path).await.json()["recommendations"]),
            expected,
            "{path}"
        );
    }
}

#[tokio::test]
async fn sells_what_the_configuration_lists() {
    let products = concat!(
        "catalog.product=[",
        "{id=9223372036854775807, name='  Tea  ', price=4, stock=0},",
        "{id=7, name=\"Caf\u{e9} \\\"au lait\\\"\", price=0.1, stock=3, category='coffee'}]",
    );
    let service = Service::start(&["--set", products]).await;
    assert_eq!(
        service.get("/products").await.json(),
        json!([
            {"id": 7, "name": "Caf\u{e9} \"au lait\"", "price": 0.1, "stock": 3},
            {"id": 9_223_372_036_854_775_807_u64, "name": "Tea", "price": 4.0, "stock": 0},
        ])
    );
    // Tea is sold out.
    assert_eq!(
        service.get("/recommendations/7").await.json(),
        json!({"product_id": 7, "recommendations": []})
    );
    assert_eq!(service.get("/products/1").await.status, 404);
}

#[tokio::test]
async fn an_empty_catalog_is_an_empty_list() {
    let service = Service::start(&["--set", "catalog.product=[]"]).await;
    assert_eq!(service.get("/products").await.json(), json!([]));
    assert_eq!(service.get("/products/1").await.status, 404);
}

#[tokio::test]
async fn a_role_that_is_off_has_no_routes() {
    let paths = [
        "/products",
        "/products/1",
        "/product/health",
        "/recommendations/1",
    ];
    for (role, served) in [("catalog", &paths[..3]), ("recommendations", &paths[3..])] {
        let service = Service::start(&["--set", &format!("roles=[\"{role}\"]")]).await;
        assert_eq!(service.get("/health").await.status, 200);
        for path in paths {
            let reply = service.get(path).await;
            if served.contains(&path) {
                assert_eq!(reply.status, 200, "{role} {path}");
            } else {
                assert_eq!(reply.problem(404), "Not Found", "{role} {path}");
            }
        }
    }
}
