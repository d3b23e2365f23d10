//! What was acknowledged is kept, whatever ends the process.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::{
    client::{add_body, post},
    directory::Directory,
    eventually,
    product::{FakeProducts, Mode},
    service::Service,
};
use tokio::task::JoinSet;

/// Users that add one item after the other until the service is gone. Each returns how many adds were acknowledged.
fn load(
    service: &Service,
    users: usize,
    acknowledged: &Arc<AtomicUsize>,
) -> JoinSet<(String, i64)> {
    let mut set = JoinSet::new();
    for user in 0..users {
        let (http, acknowledged) = (service.http.clone(), acknowledged.clone());
        set.spawn(async move {
            let user = format!("user-{user}");
            let mut mine = 0;
            loop {
                let request = post("/fixed/cart/add", add_body(&user, 1 + mine % 5, 1));
                match http.try_send(request).await {
                    Ok(answer) if answer.status == 200 => {
                        mine += 1;
                        acknowledged.fetch_add(1, Ordering::SeqCst);
                    }
                    _ => return (user, mine),
                }
            }
        });
    }
    set
}

async fn stored(service: &Service, user: &str) -> i64 {
    let view = service.http.view("fixed", user).await.ok();
    let items = view["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["quantity"].as_i64().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_keeps_every_acknowledged_add() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let mut expected: HashMap<String, i64> = HashMap::new();

    // Again and again on one file: recovery must also survive what recovery left.
    for round in 0..3 {
        let service = Service::start("fixed", &directory, &products.url(), &[]);
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let users = load(&service, 16, &acknowledged);
        eventually("some adds", async || {
            (acknowledged.load(Ordering::SeqCst) >= 200).then_some(())
        })
        .await;
        service.kill();

        let service = Service::start("fixed", &directory, &products.url(), &[]);
        for (user, mine) in users.join_all().await {
            let at_least = expected.get(&user).copied().unwrap_or_default() + mine;
            let found = stored(&service, &user).await;
            // One add of each user may have been in flight: stored, but not acknowledged.
            assert!(
                (at_least..=at_least + 1).contains(&found),
                "round {round}, {user}: {found} of {at_least}"
            );
            expected.insert(user, found);
        }
        service.kill();
    }

    let file = rusqlite::Connection::open(directory.join("carts.db")).unwrap();
    let check: String = file
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let written: i64 = file
        .query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))
        .unwrap();
    assert_eq!(
        written,
        expected.values().sum::<i64>(),
        "one event for each add, no more and no fewer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_it_finishes_what_it_began() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let mut service = Service::start("fixed", &directory, &products.url(), &[]);
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let users = load(&service, 16, &acknowledged);
    eventually("some adds", async || {
        (acknowledged.load(Ordering::SeqCst) >= 100).then_some(())
    })
    .await;
    service.terminate();
    let status = service.ended().await;
    assert!(status.success(), "{status}: {}", service.log());
    assert!(
        !directory.join("carts.db-wal").exists(),
        "one whole file is left"
    );

    let service = Service::start("fixed", &directory, &products.url(), &[]);
    for (user, mine) in users.join_all().await {
        let found = stored(&service, &user).await;
        assert!(
            (mine..=mine + 1).contains(&found),
            "{user}: {found} of {mine}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_answered_before_the_end() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let mut service = Service::start("vulnerable", &directory, &products.url(), &[]);
    products.set(Mode::Hang);
    let hanging = tokio::spawn({
        let http = service.http.clone();
        async move { http.add("vulnerable", "ann", 1, 1).await }
    });
    eventually("the call to product-svc", async || {
        (products.calls() == 1).then_some(())
    })
    .await;
    service.terminate();
    eventually("the drain to begin", async || {
        service.log().contains("SIGTERM").then_some(())
    })
    .await;
    products.set(Mode::Healthy);
    hanging.await.unwrap().problem(502);
    assert!(service.ended().await.success());
}

#[tokio::test]
async fn a_key_is_remembered_across_a_restart() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let request = || {
        let mut request = post("/fixed/cart/add", add_body("ann", 1, 2));
        request
            .headers_mut()
            .insert("idempotency-key", "k".parse().unwrap());
        request
    };
    let service = Service::start("fixed", &directory, &products.url(), &[]);
    let first = service.http.send(request()).await;
    first.ok();
    service.kill();

    // Not even product-svc is needed to say again what was said.
    products.set(Mode::Status(503));
    let service = Service::start("fixed", &directory, &products.url(), &[]);
    let again = service.http.send(request()).await;
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(stored(&service, "ann").await, 2);
}

#[tokio::test]
async fn one_key_sent_many_times_at_once_adds_once() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let service = Service::start("fixed", &directory, &products.url(), &[]);
    let mut set = JoinSet::new();
    for _ in 0..16 {
        let http = service.http.clone();
        set.spawn(async move {
            let mut request = post("/fixed/cart/add", add_body("ann", 1, 2));
            request
                .headers_mut()
                .insert("idempotency-key", "k".parse().unwrap());
            http.send(request).await
        });
    }
    let answers = set.join_all().await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.text == answers[0].text),
        "{answers:?}"
    );
    let first = answers
        .iter()
        .filter(|answer| answer.header("idempotency-replayed").is_empty());
    assert_eq!(first.count(), 1);
    assert_eq!(stored(&service, "ann").await, 2);
}

#[tokio::test]
async fn a_full_store_refuses_writes_and_the_service_goes_on() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let service = Service::start(
        "fixed",
        &directory,
        &products.url(),
        &["store.max_size=1MiB"],
    );
    // Long names fill it sooner.
    let name = |n: usize| format!("{}-{n}", "x".repeat(100));
    let mut set = JoinSet::new();
    let next = Arc::new(AtomicUsize::new(0));
    for _ in 0..16 {
        let (http, next) = (service.http.clone(), next.clone());
        set.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let user = name(next.fetch_add(1, Ordering::SeqCst));
                let answer = http.add("fixed", &user, 1, 1).await;
                if answer.status != 200 {
                    return (mine, answer);
                }
                mine.push(user);
                assert!(mine.len() < 100_000);
            }
        });
    }
    for (mine, refused) in set.join_all().await {
        let problem = refused.problem(503);
        assert!(!problem.to_string().contains("carts.db"), "{problem}");
        if let Some(last) = mine.last() {
            assert_eq!(stored(&service, last).await, 1);
        }
    }
    assert_eq!(service.ops.get("/livez").await.status, 200);
}
