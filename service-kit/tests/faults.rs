//! Every kind of fault as a client sees it on the wire.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use axum::Router;
use axum::routing::get as on_get;
use service_kit::config::Section;
use service_kit::runtime::{Running, launch};
use service_kit::{Context, ServiceInfo};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use support::{Answer, connect, get, raw, request};
use tokio::task::spawn_blocking;

const INFO: ServiceInfo = ServiceInfo {
    name: "fault-test",
    version: "0.0.0",
    about: "",
    env_prefix: "FAULT_TEST",
    env_aliases: &[],
    default_config: "listen = \"127.0.0.1:0\"\nops.listen = \"127.0.0.1:0\"\n",
    after_help: "",
};

async fn service(rules: &str, simulate: bool) -> Running {
    let args: Vec<OsString> = [
        "fault-test".to_owned(),
        "--set".to_owned(),
        "faults.enabled=true".to_owned(),
        "--set".to_owned(),
        format!("faults.simulate={simulate}"),
        "--set".to_owned(),
        format!("faults.rule=[{rules}]"),
    ]
    .into_iter()
    .map(OsString::from)
    .collect();
    launch(
        &INFO,
        args,
        |_: &mut Section<'_>| (),
        async |(), _: Context| {
            Ok(Router::new()
                .route("/data", on_get(async || "0123456789"))
                .route("/other/{id}", on_get(async || "fine")))
        },
    )
    .await
    .expect("starts")
}

async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(ask).await.expect("does not panic")
}

fn ask(address: SocketAddr, target: &str) -> Option<Answer> {
    raw(
        address,
        format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_turns_and_only_the_rules_routes_suffer() {
    let running = service(
        "{ routes = [\"/data\"], kind = \"status\", status = 503 }",
        false,
    )
    .await;
    let http = running.http;
    blocking(move || {
        let post = |path: &str| request(http, "POST", path, &[], "");
        assert_eq!(get(http, "/data").status, 200);
        assert_eq!(
            post("/fail/on").json(),
            serde_json::json!({ "message": "Failure enabled" })
        );
        get(http, "/data").problem(503);
        assert_eq!(get(http, "/other/1").text(), "fine");
        assert_eq!(
            post("/fail/off").json(),
            serde_json::json!({ "message": "Failure disabled" })
        );
        assert_eq!(get(http, "/data").text(), "0123456789");
        get(http, "/fail/on").problem(405);
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_faults_the_switches_do_not_exist() {
    let args = ["fault-test"].map(OsString::from);
    let running = launch(
        &INFO,
        args,
        |_: &mut Section<'_>| (),
        async |(), _: Context| Ok(Router::new()),
    )
    .await
    .expect("starts");
    let http = running.http;
    for path in ["/fail/on", "/fail/off"] {
        assert_eq!(
            blocking(move || request(http, "POST", path, &[], ""))
                .await
                .problem(404),
            "Not Found"
        );
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_for_every_route_spares_the_switch() {
    let running = service("{ routes = [\"/{*rest}\"], kind = \"reset\" }", true).await;
    let http = running.http;
    blocking(move || {
        assert!(ask(http, "/data").is_none());
        assert_eq!(request(http, "POST", "/fail/off", &[], "").status, 200);
        assert_eq!(get(http, "/data").status, 200);
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hang_and_latency_wait() {
    let rules = "{ routes = [\"/data\"], kind = \"hang\", status = 408, delay = \"60ms\" }, \
                 { routes = [\"/other/{id}\"], kind = \"latency\", delay = \"60ms\", delay_max = \"80ms\" }";
    let running = service(rules, true).await;
    let http = running.http;
    blocking(move || {
        let begun = Instant::now();
        get(http, "/data").problem(408);
        assert!(begun.elapsed() >= Duration::from_millis(60));
        let begun = Instant::now();
        assert_eq!(get(http, "/other/1").text(), "fine");
        assert!(begun.elapsed() >= Duration::from_millis(60));
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_closes_without_an_answer() {
    let running = service("{ routes = [\"/data\"], kind = \"reset\" }", true).await;
    let http = running.http;
    assert!(blocking(move || ask(http, "/data")).await.is_none());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncate_breaks_off_half_way() {
    let running = service("{ routes = [\"/data\"], kind = \"truncate\" }", true).await;
    let http = running.http;
    let answer = blocking(move || ask(http, "/data")).await.expect("a head");
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, Some("10"))
    );
    assert_eq!(answer.text(), "01234");
    assert!(answer.cut_short);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stall_sends_the_head_first() {
    // So long that a head which waited for the body would miss the test's own deadline.
    let running = service(
        "{ routes = [\"/data\"], kind = \"stall\", delay = \"1h\" }",
        true,
    )
    .await;
    let http = running.http;
    let head = blocking(move || {
        let mut stream = connect(http);
        stream
            .write_all(b"GET /data HTTP/1.1\r\nhost: a\r\n\r\n")
            .expect("sends");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream
                .read_exact(&mut byte)
                .expect("the head comes at once");
            head.push(byte[0]);
        }
        String::from_utf8(head).expect("text")
    })
    .await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_with_a_seed_is_the_same_every_time() {
    let outcomes = async || {
        let running = service(
            "{ routes = [\"/data\"], kind = \"status\", share = 0.4, seed = 7 }",
            true,
        )
        .await;
        let http = running.http;
        let outcomes = blocking(move || {
            (0..60)
                .map(|_| get(http, "/data").status)
                .collect::<Vec<_>>()
        })
        .await;
        running.stop().await;
        outcomes
    };
    let (first, second) = (outcomes().await, outcomes().await);
    assert_eq!(first, second);
    let failed = first.iter().filter(|status| **status == 503).count();
    assert!(
        (10..=40).contains(&failed),
        "{failed} of 60 at a share of 0.4"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_rules_are_named() {
    let args = [
        "fault-test",
        "--set",
        "faults.rule=[{ routes = [\"data\"], kind = \"explode\", status = 200, delay = \"2s\", delay_max = \"1s\", share = 2 }, {}]",
        "--set",
        "faults.simulate=true",
    ]
    .map(OsString::from);
    let error = launch(
        &INFO,
        args,
        |_: &mut Section<'_>| (),
        async |(), _: Context| Ok(Router::new()),
    )
    .await
    .expect_err("all wrong");
    let text = error.to_string();
    for part in [
        "key `faults.simulate`",
        "key `faults.rule[0].routes`: found [\"data\"]",
        "key `faults.rule[0].kind`: found \"explode\", allowed: \"status\", \"latency\"",
        "key `faults.rule[0].status`: found 200, allowed: an integer from 400 to 599",
        "key `faults.rule[0].delay_max`: found \"1s\", allowed: a duration of at least `delay` (2s)",
        "key `faults.rule[0].share`: found 2",
        "key `faults.rule[1].routes` is missing",
        "key `faults.rule[1].kind` is missing",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
