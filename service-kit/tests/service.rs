//! A service inside the test's own runtime: what every answer has, whatever the service does.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use axum::Router;
use axum::body::Body;
use axum::routing::{get as on_get, post as on_post};
use serde::Deserialize;
use service_kit::config::Section;
use service_kit::extract::{Json, Path, Query};
use service_kit::runtime::{RunError, Running, launch};
use service_kit::telemetry::{RouteName, trace_context};
use service_kit::{Context, ServiceInfo, StartError};
use std::ffi::OsString;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Answer, connect, get, post_json, raw, read_answer, request, until};
use tokio::task::spawn_blocking;

const INFO: ServiceInfo = ServiceInfo {
    name: "kit-test",
    version: "0.0.0",
    about: "",
    env_prefix: "KIT_TEST",
    env_aliases: &[],
    default_config: "listen = \"127.0.0.1:0\"\nops.listen = \"127.0.0.1:0\"\n",
    after_help: "",
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    item: String,
}

#[derive(Deserialize)]
struct Page {
    page: u32,
}

fn routes() -> Router {
    Router::new()
        .route(
            "/items/{id}",
            on_get(async |Path(id): Path<u32>| format!("item {id}")),
        )
        .route(
            "/shelves/{shelf}/{slot}",
            on_get(async |Path((shelf, slot)): Path<(String, u8)>| format!("{shelf} {slot}")),
        )
        .route(
            "/list",
            on_get(async |Query(page): Query<Page>| page.page.to_string()),
        )
        .route(
            "/orders",
            on_post(async |Json(order): Json<Order>| order.item),
        )
        .route(
            "/raw",
            on_post(async |body: Body| {
                Json(
                    axum::body::to_bytes(body, 1 << 30)
                        .await
                        .map(|bytes| bytes.len())
                        .unwrap_or(0),
                )
            }),
        )
        .route(
            "/trace",
            on_get(async || {
                trace_context::current()
                    .map(|trace| trace.traceparent())
                    .unwrap_or_default()
            }),
        )
        .route("/panic", on_get(panics))
        .route(
            "/forever",
            on_get(async || std::future::pending::<()>().await),
        )
        .route("/own-404", on_get(async || http::StatusCode::NOT_FOUND))
}

async fn panics() {
    let nothing: Option<u8> = None;
    assert!(nothing.is_some(), "on purpose");
}

fn args(sets: &[&str]) -> Vec<OsString> {
    let mut args = vec![OsString::from("kit-test")];
    for set in sets {
        args.extend([OsString::from("--set"), OsString::from(set)]);
    }
    args
}

async fn service(sets: &[&str]) -> Running {
    launch(
        &INFO,
        args(sets),
        |_: &mut Section<'_>| (),
        async |(), _: Context| Ok(routes()),
    )
    .await
    .expect("starts")
}

/// The hand-made client blocks; the server runs on other threads of the runtime.
async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(ask).await.expect("does not panic")
}

async fn fetch(running: &Running, target: &'static str) -> Answer {
    let address = running.http;
    blocking(move || get(address, target)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_problems_that_say_what_to_change() {
    let running = service(&[]).await;
    let cases: [(&str, u16, &str); 12] = [
        ("/nope", 404, "Not Found"),
        ("/", 404, "Not Found"),
        ("/items", 404, "Not Found"),
        ("/items/", 404, "Not Found"),
        ("/%ff%fe", 404, "Not Found"),
        (
            "/items/x",
            400,
            "Path parameter `id` is \"x\", expected a whole number from 0 to 4294967295",
        ),
        (
            "/items/-1",
            400,
            "Path parameter `id` is \"-1\", expected a whole number from 0 to 4294967295",
        ),
        (
            "/items/%ff",
            400,
            "Path parameter `id` is not UTF-8 after percent-decoding",
        ),
        (
            "/shelves/a/999",
            400,
            "A path parameter is \"999\", expected a whole number from 0 to 255",
        ),
        ("/list", 400, "Query parameter `page` is missing"),
        (
            "/list?page=x",
            400,
            "The query is not acceptable: page: not a whole number of the expected kind",
        ),
        (
            "/list?page=%f",
            400,
            "The query is not valid: a percent escape is broken or not UTF-8",
        ),
    ];
    for (target, status, detail) in cases {
        assert_eq!(
            fetch(&running, target).await.problem(status),
            detail,
            "{target}"
        );
    }
    assert_eq!(fetch(&running, "/items/7").await.text(), "item 7");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handlers_own_empty_answer_is_left_alone() {
    let running = service(&[]).await;
    let answer = fetch(&running, "/own-404").await;
    assert_eq!((answer.status, answer.text().as_str()), (404, ""));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_name_the_right_ones() {
    let running = service(&[]).await;
    let (http, ops) = (running.http, running.ops);
    let answer = blocking(move || request(http, "DELETE", "/items/1", &[], "")).await;
    answer.problem(405);
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    let answer = blocking(move || request(ops, "POST", "/livez", &[], "")).await;
    answer.problem(405);
    blocking(move || get(ops, "/nope")).await.problem(404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_has_the_head_only() {
    let running = service(&[]).await;
    let http = running.http;
    for (target, status, length) in [("/items/1", 200, "6"), ("/nope", 404, "76")] {
        let answer = blocking(move || request(http, "HEAD", target, &[], "")).await;
        assert_eq!((answer.status, answer.body.len()), (status, 0));
        assert_eq!(answer.header("content-length"), Some(length), "{target}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_bodies() {
    let running = service(&[]).await;
    let http = running.http;
    blocking(move || {
        assert_eq!(post_json(http, "/orders", r#"{"item":"a"}"#).text(), "a");
        post_json(http, "/orders", "{").problem(400);
        post_json(http, "/orders", "{}").problem(422);
        assert_eq!(
            post_json(http, "/orders", r#"{"item":"a","x":1}"#).json()["pointer"],
            "/x"
        );
        request(
            http,
            "POST",
            "/orders",
            &[("content-type", "text/plain")],
            "{}",
        )
        .problem(415);
        request(http, "POST", "/orders", &[], "").problem(415);
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_bodies_in_other_wrappings_are_415() {
    let running = service(&[]).await;
    let http = running.http;
    blocking(move || {
        let ask =
            |headers: &[(&str, &str)]| request(http, "POST", "/orders", headers, r#"{"item":"a"}"#);
        let json = ("content-type", "application/json");
        let right: [&[(&str, &str)]; 5] = [
            &[json, ("content-encoding", "identity")],
            &[json, ("content-encoding", "")],
            &[("content-type", "application/json; charset=utf-8")],
            &[("content-type", "application/json;charset=\"UTF-8\"; x=y")],
            &[("content-type", "application/problem+json")],
        ];
        for headers in right {
            let answer = ask(headers);
            assert_eq!(answer.text(), "a", "{headers:?}");
        }
        let wrong: [(&[(&str, &str)], &str); 7] = [
            (&[json, ("content-encoding", "gzip")], "\"gzip\""),
            (&[json, ("content-encoding", "identity, br")], "\"br\""),
            (
                &[
                    json,
                    ("content-encoding", "identity"),
                    ("content-encoding", "br"),
                ],
                "\"br\"",
            ),
            (&[json, json], "more than one Content-Type"),
            (&[json, ("content-type", "text/plain")], "more than one"),
            (
                &[("content-type", "application/json; charset=latin1")],
                "UTF-8",
            ),
            (
                &[("content-type", "application/json; Charset=\"utf-16\"")],
                "UTF-8",
            ),
        ];
        for (headers, detail) in wrong {
            let answer = ask(headers);
            assert!(answer.problem(415).contains(detail), "{}", answer.text());
        }
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_beyond_the_limit_are_413_announced_or_not() {
    let running = service(&["max_body=1KiB"]).await;
    let http = running.http;
    blocking(move || {
        let fits = format!("{{\"item\":\"{}\"}}", "a".repeat(1013));
        assert_eq!(fits.len(), 1024);
        assert_eq!(post_json(http, "/orders", &fits).status, 200);
        let answer = post_json(http, "/orders", &format!("{fits} "));
        assert!(answer.problem(413).contains("1024 bytes"));
        assert_eq!(answer.json()["limit_bytes"], 1024);

        let head = "POST /orders HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let chunk = format!("400\r\n{}\r\n", " ".repeat(1024));
        let answer = raw(http, format!("{head}{chunk}{chunk}0\r\n\r\n").as_bytes()).expect("an answer");
        assert!(answer.problem(413).contains("1024 bytes"));
        let answer = raw(http, format!("{head}e\r\n{{\"item\":\"abc\"}}\r\n0\r\n\r\n").as_bytes()).expect("an answer");
        assert_eq!(answer.text(), "abc");

        // Megabytes, sent by a client that reads only afterwards.
        let large = " ".repeat(800 << 10);
        post_json(http, "/raw", &large).problem(413);
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_too_large_that_was_asked_about_is_not_asked_for() {
    let running = service(&["max_body=1KiB"]).await;
    let http = running.http;
    let answer = blocking(move || {
        let head = "POST /raw HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 100000\r\n\r\n";
        raw(http, head.as_bytes()).expect("an answer")
    })
    .await;
    // Not a 100 first.
    answer.problem(413);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_targets_are_not_found() {
    let running = service(&[]).await;
    let http = running.http;
    for target in [
        "*",
        "//",
        "/items//",
        "/../etc/passwd",
        "/items/1/../2",
        "/%2e%2e/x",
        "/\u{e4}",
    ] {
        let answer = blocking(move || {
            raw(
                http,
                format!("OPTIONS {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                    .as_bytes(),
            )
        })
        .await;
        assert_eq!(
            answer.expect("an answer").problem(404),
            "Not Found",
            "{target}"
        );
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_problem_without_details() {
    let running = service(&[]).await;
    let detail = fetch(&running, "/panic").await.problem(500);
    assert!(!detail.contains("purpose"), "{detail}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_a_time_limit_if_one_is_set() {
    let running = service(&["request_timeout=20ms"]).await;
    fetch(&running, "/forever").await.problem(503);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_given_up() {
    let running = service(&["header_timeout=50ms"]).await;
    let http = running.http;
    let answer = blocking(move || {
        let mut stream = connect(http);
        stream
            .write_all(b"GET /items/1 HTTP/1.1\r\nho")
            .expect("sends");
        read_answer(&mut stream)
    })
    .await;
    assert!(answer.is_none_or(|answer| answer.status == 408));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_is_given_up() {
    let running = service(&["body_timeout=50ms"]).await;
    let http = running.http;
    let stopped = |path: &'static str, framing: &'static str| {
        blocking(move || {
            let mut stream = connect(http);
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{framing}"
            );
            stream.write_all(head.as_bytes()).expect("sends");
            // Until the server closes.
            read_answer(&mut stream).expect("an answer")
        })
    };
    for framing in [
        "content-length: 14\r\n\r\n",
        "content-length: 14\r\n\r\n{\"item\"",
        "transfer-encoding: chunked\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n7\r\n{\"item\"\r\n",
    ] {
        let answer = stopped("/orders", framing).await;
        assert!(
            answer.problem(408).contains("did not arrive in time"),
            "{framing}"
        );
        assert_eq!(answer.header("connection"), Some("close"), "{framing}");
    }
    // A handler that does without the body is not overruled.
    assert_eq!(
        stopped("/raw", "content-length: 14\r\n\r\n").await.text(),
        "0"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_that_keeps_coming_is_waited_for() {
    let running = service(&["body_timeout=2s"]).await;
    let http = running.http;
    let answer = blocking(move || {
        let mut stream = connect(http);
        let head = "POST /orders HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n\
                    content-length: 14\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("sends");
        for byte in b"{\"item\":\"abc\"}" {
            std::thread::sleep(Duration::from_millis(200));
            stream.write_all(&[*byte]).expect("sends");
        }
        read_answer(&mut stream).expect("an answer")
    })
    .await;
    assert_eq!(answer.text(), "abc");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_goes_on_or_begins() {
    let running = service(&[]).await;
    let http = running.http;
    let incoming = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = |headers: &'static [(&'static str, &'static str)]| {
        blocking(move || request(http, "GET", "/trace", headers, "").text())
    };
    let continued = trace(&[(
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )])
    .await;
    assert!(
        continued.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && continued.ends_with("-01"),
        "{continued}"
    );
    assert_ne!(continued, incoming);
    let (first, second) = (trace(&[]).await, trace(&[("traceparent", "rubbish")]).await);
    assert_eq!((first.len(), second.len()), (55, 55));
    assert_ne!(first, second);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_requests_by_route() {
    let running = service(&[]).await;
    fetch(&running, "/shelves/a/1").await;
    fetch(&running, "/shelves/a/2").await;
    let ops = running.ops;
    let text = blocking(move || get(ops, "/metrics")).await.text();
    let line = "http_server_requests_total{route=\"/shelves/{shelf}/{slot}\",method=\"GET\",status=\"2xx\"} 2";
    assert!(text.contains(line), "{text}");
    assert!(
        text.contains(
            "http_server_request_duration_seconds_count{route=\"/shelves/{shelf}/{slot}\""
        ),
        "{text}"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_names_its_own_routes() {
    let running = launch(
        &INFO,
        args(&[]),
        |_: &mut Section<'_>| (),
        async |(), _: Context| {
            Ok(Router::new().route(
                "/{*rest}",
                on_get(async || axum::Extension(RouteName("/named/{id}".into()))),
            ))
        },
    )
    .await
    .expect("starts");
    fetch(&running, "/named/1").await;
    let ops = running.ops;
    let text = blocking(move || get(ops, "/metrics")).await.text();
    let line = "http_server_requests_total{route=\"/named/{id}\",method=\"GET\",status=\"2xx\"} 1";
    assert!(text.contains(line), "{text}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_and_liveness() {
    let running = service(&[]).await;
    let ops = running.ops;
    let ready = async |path: &'static str| blocking(move || get(ops, path)).await;
    assert_eq!(ready("/livez").await.json()["status"], "alive");
    assert_eq!(ready("/readyz").await.status, 200);
    running.context().readiness().set_available(false);
    let answer = ready("/readyz").await;
    assert_eq!(
        (answer.status, answer.json()["status"].as_str()),
        (503, Some("unavailable"))
    );
    running.context().readiness().set_available(true);
    assert_eq!(ready("/readyz").await.status, 200);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_starts_it_lives_but_is_not_ready() {
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let (tell, ops) = tokio::sync::oneshot::channel();
    let starting = tokio::spawn(async move {
        let start = async move |(), context: Context| {
            let _ = tell.send(context.ops_address());
            let _ = wait.await;
            Ok(routes())
        };
        launch(&INFO, args(&[]), |_: &mut Section<'_>| (), start).await
    });
    let ops = ops.await.expect("start was called");
    assert_eq!(blocking(move || get(ops, "/livez")).await.status, 200);
    let answer = blocking(move || get(ops, "/readyz")).await;
    assert_eq!(
        (answer.status, answer.json()["status"].as_str()),
        (503, Some("starting"))
    );
    go.send(()).expect("still starting");
    let running = starting.await.expect("does not panic").expect("starts");
    assert_eq!(blocking(move || get(ops, "/readyz")).await.status, 200);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drain_answers_what_is_in_flight_then_finishes() {
    let (started, in_flight) = tokio::sync::oneshot::channel::<()>();
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let hooks = Arc::new(Mutex::new(Some((started, released))));
    let order = Arc::new(Mutex::new(Vec::new()));
    let notes = order.clone();
    let running = launch(
        &INFO,
        args(&[]),
        |_: &mut Section<'_>| (),
        async move |(), context: Context| {
            for name in ["first", "second"] {
                let notes = notes.clone();
                context.on_drained(async move { notes.lock().expect("not poisoned").push(name) });
            }
            Ok(Router::new().route(
                "/slow",
                on_get(async move || {
                    let hooks = hooks.lock().expect("not poisoned").take();
                    let (started, released) = hooks.expect("asked once");
                    let _ = started.send(());
                    let _ = released.await;
                    "done"
                }),
            ))
        },
    )
    .await
    .expect("starts");
    let http = running.http;
    let slow = tokio::spawn(blocking(move || get(http, "/slow")));
    in_flight.await.expect("the request arrived");
    let context = running.context().clone();
    context.shutdown().cancel();
    let stopped = tokio::spawn(running.wait());
    blocking(move || {
        until("the listener is closed", || {
            std::net::TcpStream::connect(http).err()
        })
    })
    .await;
    assert!(!stopped.is_finished());
    assert!(order.lock().expect("not poisoned").is_empty());
    release.send(()).expect("still waiting");
    assert_eq!(slow.await.expect("does not panic").text(), "done");
    stopped.await.expect("does not panic");
    assert_eq!(*order.lock().expect("not poisoned"), ["first", "second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_says_why() {
    let failed = launch(
        &INFO,
        args(&[]),
        |_: &mut Section<'_>| (),
        async |(), _: Context| {
            let nothing: Result<Router, StartError> =
                Err(StartError::from("the catalogue is empty"));
            nothing
        },
    )
    .await;
    match failed {
        Err(RunError::Start(error)) => assert_eq!(error.to_string(), "the catalogue is empty"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_routers_own_fallback_serves() {
    let running = launch(
        &INFO,
        args(&[]),
        |_: &mut Section<'_>| (),
        async |(), _: Context| {
            Ok(Router::new().fallback(async |uri: http::Uri| format!("proxied {}", uri.path())))
        },
    )
    .await
    .expect("starts");
    assert_eq!(
        fetch(&running, "/anything").await.text(),
        "proxied /anything"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_and_pipelined() {
    let running = service(&[]).await;
    let http = running.http;
    let text = blocking(move || {
        let mut stream = connect(http);
        let two = "GET /items/1 HTTP/1.1\r\nhost: a\r\n\r\nGET /items/2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(two.as_bytes()).expect("sends");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).expect("text");
        text
    })
    .await;
    assert!(
        text.contains("item 1") && text.ends_with("item 2"),
        "{text}"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_hold_the_drain() {
    let running = service(&["drain.limit=1h"]).await;
    let http = running.http;
    let idle = blocking(move || {
        let mut stream = connect(http);
        stream
            .write_all(b"GET /items/1 HTTP/1.1\r\nhost: a\r\n\r\n")
            .expect("sends");
        let mut byte = [0];
        std::io::Read::read_exact(&mut stream, &mut byte).expect("an answer begins");
        stream
    })
    .await;
    tokio::time::timeout(Duration::from_secs(30), running.stop())
        .await
        .expect("the drain does not wait for idle connections");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_during_the_drain_delay_end_their_connections() {
    let running = service(&["drain.delay=1h"]).await;
    let http = running.http;
    let ask = |stream: &mut std::net::TcpStream| {
        stream
            .write_all(b"GET /items/1 HTTP/1.1\r\nhost: a\r\n\r\n")
            .expect("sends");
    };
    let kept = blocking(move || {
        let mut stream = connect(http);
        ask(&mut stream);
        let mut head = Vec::new();
        while !head.ends_with(b"item 1") {
            let mut byte = [0];
            std::io::Read::read_exact(&mut stream, &mut byte).expect("an answer");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        assert!(!head.contains("connection: close"), "{head}");
        stream
    })
    .await;
    running.context().shutdown().cancel();
    let ops = running.ops;
    blocking(move || {
        until("it drains", || {
            (get(ops, "/readyz").status == 503).then_some(())
        })
    })
    .await;
    for mut stream in [kept, blocking(move || connect(http)).await] {
        let answer = blocking(move || {
            ask(&mut stream);
            // Until the server closes.
            read_answer(&mut stream).expect("an answer")
        })
        .await;
        assert_eq!(answer.text(), "item 1");
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_do_not_hold_the_drain() {
    let running = service(&["drain.limit=1h", "header_timeout=1h"]).await;
    let http = running.http;
    let (silent, after) = blocking(move || (connect(http), get(http, "/items/1"))).await;
    // Connections are accepted in order, so the silent one has been as well.
    assert_eq!(after.status, 200);
    tokio::time::timeout(Duration::from_secs(30), running.stop())
        .await
        .expect("nothing was asked on it");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_the_start_is_a_stop() {
    let stopped = launch(
        &INFO,
        args(&[]),
        |_: &mut Section<'_>| (),
        async |(), context: Context| {
            context.shutdown().cancel();
            std::future::pending::<Result<Router, StartError>>().await
        },
    )
    .await;
    assert!(matches!(stopped, Err(RunError::Stopped)), "{stopped:?}");
}
