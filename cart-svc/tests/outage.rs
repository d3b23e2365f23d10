//! An outage of product-svc, seen through both variants.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;

use std::time::{Duration, Instant};

use common::{
    DEADLINE,
    directory::Directory,
    eventually,
    product::{FakeProducts, Mode},
    service::Service,
};
use serde_json::{Value, json};

/// The fixed variant, with waits short enough for a test.
const QUICK: &[&str] = &["product.timeout=200ms", "product.breaker.open_for=300ms"];

const FAILURES: [Mode; 4] = [
    Mode::Status(503),
    Mode::Status(500),
    Mode::Nonsense,
    Mode::Hang,
];

#[tokio::test]
async fn the_protected_variant_goes_on_with_what_it_knows() {
    for failure in FAILURES {
        let (products, directory) = (FakeProducts::start(), Directory::new());
        let service = Service::start(
            "fixed",
            &directory,
            &products.url(),
            &["product.timeout=200ms"],
        );
        service.http.add("fixed", "ann", 1, 1).await.ok();
        products.set(failure);

        // Product 3 was never asked for by anyone: the warm-up knows it.
        for product in [1, 3].repeat(10) {
            let added = service.http.add("fixed", "ann", product, 1).await.ok();
            assert_stale(&added, "cache");
        }
        let view = service.http.view("fixed", "ann").await.ok();
        assert_eq!(view["degraded"], true);
        assert_eq!(view["total"], json!(11_799.79));
        for item in view["items"].as_array().unwrap() {
            assert_stale(item, "cache");
            assert_eq!(item["available"], true);
        }
        assert_eq!(service.http.circuit().await, "OPEN", "{failure:?}");
        // Five failures opened it (calls already under way may finish later); everything after was refused.
        assert_eq!(products.calls(), 1 + 5, "{failure:?}");
    }
}

fn assert_stale(answer: &Value, source: &str) {
    assert_eq!(answer["degraded"], true, "{answer}");
    assert_eq!(answer["product_source"], source, "{answer}");
    let age = answer["product_age_ms"].as_u64().unwrap();
    assert!(age <= DEADLINE.as_millis() as u64, "{answer}");
    let as_of = humantime::parse_rfc3339(answer["product_as_of"].as_str().unwrap()).unwrap();
    assert!(as_of.elapsed().unwrap() <= DEADLINE, "{answer}");
}

#[tokio::test]
async fn the_vulnerable_variant_fails_with_its_dependency() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let service = Service::start("vulnerable", &directory, &products.url(), &[]);
    service.http.add("vulnerable", "ann", 1, 1).await.ok();

    for failure in [Mode::Status(503), Mode::Status(500), Mode::Nonsense] {
        products.set(failure);
        service
            .http
            .add("vulnerable", "ann", 1, 1)
            .await
            .problem(502);
        service.http.view("vulnerable", "ann").await.problem(502);
    }
    service.http.get("/vulnerable/health").await.ok();
    assert_eq!(
        service.http.view("vulnerable", "bob").await.ok()["items"],
        json!([]),
        "an empty cart needs no product"
    );

    // Nothing bounds the wait: the answer comes only when product-svc gives one.
    products.set(Mode::Hang);
    let calls = products.calls();
    let hanging = tokio::spawn({
        let http = service.http.clone();
        async move { http.add("vulnerable", "ann", 1, 1).await }
    });
    eventually("the call to hang", async || {
        (products.calls() > calls).then_some(())
    })
    .await;
    products.set(Mode::Healthy);
    hanging.await.unwrap().problem(502);

    let view = service.http.view("vulnerable", "ann").await.ok();
    assert_eq!(view["items"][0]["quantity"], 1, "no failed add was stored");
}

#[tokio::test]
async fn a_dependency_that_is_not_there_is_a_problem_without_addresses() {
    let directory = Directory::new();
    // Nobody listens on a port that was just given back.
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{gone}");
    let service = Service::start("vulnerable", &directory, &url, &[]);
    let problem = service
        .http
        .add("vulnerable", "ann", 1, 1)
        .await
        .problem(502);
    assert!(!problem.to_string().contains("127.0.0.1"), "{problem}");
}

#[tokio::test]
async fn the_circuit_opens_tries_and_closes() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let service = Service::start("fixed", &directory, &products.url(), QUICK);
    let mut seen = vec![service.http.circuit().await];

    products.set(Mode::Status(503));
    for _ in 0..6 {
        service.http.add("fixed", "ann", 1, 1).await.ok();
        note(&mut seen, service.http.circuit().await);
    }
    assert_eq!(seen, ["CLOSED", "OPEN"]);

    products.set(Mode::Healthy);
    let end = Instant::now() + DEADLINE;
    while seen.last().is_none_or(|state| state != "CLOSED") {
        assert!(Instant::now() < end, "{seen:?}");
        // One product call each: between the two successes that close the circuit, health is asked.
        service.http.add("fixed", "ann", 1, 1).await.ok();
        note(&mut seen, service.http.circuit().await);
    }
    assert_eq!(seen, ["CLOSED", "OPEN", "HALF_OPEN", "CLOSED"]);
    assert_eq!(
        service.http.add("fixed", "ann", 1, 1).await.ok()["degraded"],
        false
    );

    let guards = service.ops.get("/breakers").await.json();
    let steps: Vec<_> = guards["breakers"][0]["transitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["from"].as_str().unwrap(), step["to"].as_str().unwrap()))
        .collect();
    assert_eq!(
        steps,
        [
            ("CLOSED", "OPEN"),
            ("OPEN", "HALF_OPEN"),
            ("HALF_OPEN", "CLOSED")
        ]
    );
}

fn note(seen: &mut Vec<String>, state: String) {
    if seen.last() != Some(&state) {
        seen.push(state);
    }
}

#[tokio::test]
async fn an_open_circuit_answers_without_waiting() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let service = Service::start(
        "fixed",
        &directory,
        &products.url(),
        &["product.timeout=200ms"],
    );
    products.set(Mode::Hang);
    let mut slow = 0;
    for _ in 0..50 {
        let start = Instant::now();
        service.http.add("fixed", "ann", 1, 1).await.ok();
        slow += usize::from(start.elapsed() >= Duration::from_millis(200));
    }
    // Only product calls can take the time-out's length for certain; the others are as fast as the disk and the machine.
    assert_eq!(products.calls(), 5);
    assert!(slow >= 5, "{slow}");
}

#[tokio::test]
async fn a_cold_start_shows_what_the_cart_recorded() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let service = Service::start("fixed", &directory, &products.url(), QUICK);
    service.http.add("fixed", "ann", 2, 3).await.ok();
    drop(service);

    products.set(Mode::Status(503));
    let service = Service::start("fixed", &directory, &products.url(), QUICK);
    let view = service.http.view("fixed", "ann").await.ok();
    let item = &view["items"][0];
    assert_stale(item, "cart");
    assert_eq!(
        (item["name"].as_str(), item["subtotal"].as_f64()),
        (Some("Mouse"), Some(89.97))
    );
    assert_eq!(view["total"], 89.97);

    // What nobody ever told it, it cannot sell.
    let refused = service.http.add("fixed", "ann", 2, 1).await;
    assert!(
        [502, 503, 504].contains(&refused.status.as_u16()),
        "{refused:?}"
    );

    // The warm-up goes on in the background.
    products.set(Mode::Healthy);
    eventually("the cache to be warm", async || {
        service.log().contains("cache is warm").then_some(())
    })
    .await;
    products.set(Mode::Status(503));
    assert_stale(&service.http.add("fixed", "ann", 5, 1).await.ok(), "cache");
}

#[tokio::test]
async fn a_product_that_was_gone_before_the_outage_does_not_come_back() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let service = Service::start("fixed", &directory, &products.url(), QUICK);
    products.remove(4);
    service.http.add("fixed", "ann", 4, 1).await.problem(404);
    products.set(Mode::Status(503));
    let refused = service.http.add("fixed", "ann", 4, 1).await;
    assert_ne!(refused.status, 200, "{refused:?}");
}

#[tokio::test]
async fn a_copy_that_is_too_old_does_not_stand_in() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let old = [
        "product.fallback.max_age=1s",
        "product.breaker.open_for=1ms",
    ];
    let service = Service::start("fixed", &directory, &products.url(), &old);
    service.http.add("fixed", "ann", 1, 1).await.ok();
    products.set(Mode::Status(503));
    let refused = eventually("the copy to be too old", async || {
        let answer = service.http.add("fixed", "ann", 1, 1).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert!(
        [502, 503, 504].contains(&refused.status.as_u16()),
        "{refused:?}"
    );
    // The cart's own record has no such limit.
    assert_stale(
        &service.http.view("fixed", "ann").await.ok()["items"][0],
        "cart",
    );
}

#[tokio::test]
async fn an_open_circuit_without_a_copy_says_when_to_come_back() {
    let (products, directory) = (FakeProducts::start_in(Mode::Status(503)), Directory::new());
    let service = Service::start("fixed", &directory, &products.url(), &[]);
    for _ in 0..5 {
        service.http.add("fixed", "ann", 1, 1).await.problem(502);
    }
    let refused = service.http.add("fixed", "ann", 1, 1).await;
    refused.problem(503);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(
        service.http.view("fixed", "ann").await.ok()["items"],
        json!([])
    );
}

#[tokio::test]
async fn many_users_at_once_never_notice_the_outage() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let service = Service::start("fixed", &directory, &products.url(), QUICK);
    let mut users = tokio::task::JoinSet::new();
    for user in 0..16 {
        let http = service.http.clone();
        users.spawn(async move {
            let user = format!("user-{user}");
            for round in 0..30 {
                http.add("fixed", &user, 1 + round % 5, 1).await.ok();
                http.view("fixed", &user).await.ok();
            }
            let view = http.view("fixed", &user).await.ok();
            let items = view["items"].as_array().unwrap();
            items
                .iter()
                .map(|item| item["quantity"].as_i64().unwrap())
                .sum::<i64>()
        });
    }
    for failure in [
        Mode::Hang,
        Mode::Healthy,
        Mode::Status(503),
        Mode::Hang,
        Mode::Healthy,
    ]
    .iter()
    .cycle()
    {
        let calls = products.calls();
        products.set(*failure);
        eventually("traffic", async || {
            (products.calls() >= calls + 2 || users.is_empty() || finished(&mut users))
                .then_some(())
        })
        .await;
        if users.is_empty() {
            break;
        }
    }
}

/// Takes the users that are done and checks that each has all its items.
fn finished(users: &mut tokio::task::JoinSet<i64>) -> bool {
    while let Some(done) = users.try_join_next() {
        assert_eq!(done.unwrap(), 30);
    }
    users.is_empty()
}

#[tokio::test]
async fn clients_that_hang_up_open_no_circuit() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let service = Service::start(
        "fixed",
        &directory,
        &products.url(),
        &["product.timeout=30s"],
    );
    service.http.add("fixed", "ann", 1, 1).await.ok();
    let before = products.calls();
    products.set(Mode::Hang);
    for hung_up in 1..=6 {
        let call = service.http.add("fixed", "ann", 1, 1);
        tokio::select! {
            _ = call => panic!("product-svc hangs, and the time-out is far"),
            () = eventually("the call arrives", async || (products.calls() == before + hung_up).then_some(())) => {}
        }
    }
    // The connection that was cut is noticed by the service in its own time.
    eventually("all six are given up", async || {
        let report = service.ops.get("/breakers").await.json();
        (report["breakers"][0]["abandoned"] == 6).then_some(())
    })
    .await;
    assert_eq!(service.http.circuit().await, "CLOSED");
}
