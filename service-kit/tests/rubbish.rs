//! What is not HTTP, byte by byte: every answer is a problem, and nothing else on the wire changes.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use axum::Router;
use axum::body::Body;
use axum::routing::{get as on_get, post as on_post};
use bytes::Bytes;
use service_kit::config::Section;
use service_kit::runtime::{Running, launch};
use service_kit::{Context, ServiceInfo};
use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{Read, Write};
use support::{connect, raw};
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

/// A text that looks like what hyper answers itself.
const BARE: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

async fn service() -> Running {
    launch(
        &INFO,
        [OsString::from("kit-test")],
        |_: &mut Section<'_>| (),
        async |(), _: Context| {
            Ok(Router::new()
                .route("/x", on_get(async || "x"))
                .route("/bare", on_get(async || BARE))
                .route("/echo", on_post(async |body: String| body))
                .route("/stream", on_get(async || stream())))
        },
    )
    .await
    .expect("starts")
}

/// Each frame begins as an answer of hyper's does.
fn stream() -> Body {
    let frames = (0..2000).map(|_| Ok::<_, Infallible>(Bytes::from_static(BARE.as_bytes())));
    Body::from_stream(futures_util::stream::iter(frames))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_answered_with_a_problem() {
    let running = service().await;
    let (http, ops) = (running.http, running.ops);
    let head = |rest: &str| format!("GET /x HTTP/1.1\r\nhost: a\r\n{rest}\r\n\r\n").into_bytes();
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        (
            "script",
            b"GET /x?user_id=\"><script> HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
            400,
        ),
        (
            "control in the path",
            b"GET /x\x01 HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
            400,
        ),
        (
            "long",
            format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(70_000)).into_bytes(),
            414,
        ),
        ("many headers", head(&many), 431),
        (
            "large headers",
            head(&format!("x: {}", "a".repeat(600_000))),
            431,
        ),
        ("NUL", head("x: a\0b"), 400),
        ("space", head("x y: a"), 400),
        ("folding", head("x: a\r\n b"), 400),
        ("length", head("content-length: x"), 400),
        ("negative length", head("content-length: -1"), 400),
        (
            "two lengths",
            head("content-length: 1\r\ncontent-length: 2"),
            400,
        ),
        ("gzip", head("transfer-encoding: gzip"), 400),
        (
            "version",
            b"GET /x HTTP/1.2\r\nhost: a\r\n\r\n".to_vec(),
            400,
        ),
        (
            "garbage",
            b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_vec(),
            400,
        ),
        ("method", b"G@T /x HTTP/1.1\r\n\r\n".to_vec(), 400),
    ];
    spawn_blocking(move || {
        for address in [http, ops] {
            for (name, request, status) in &cases {
                let answer = raw(address, request).unwrap_or_else(|| panic!("{name}: no answer"));
                assert_eq!(answer.status, *status, "{name}");
                assert!(!answer.problem(*status).is_empty(), "{name}");
                assert_eq!(answer.header("connection"), Some("close"), "{name}");
                assert!(!answer.cut_short, "{name}");
            }
        }
    })
    .await
    .expect("does not panic");
    running.stop().await;
}

fn conversation(address: std::net::SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    stream.write_all(request).expect("sends");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("reads");
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_says_is_not_touched() {
    let running = service().await;
    let http = running.http;
    spawn_blocking(move || {
        let body_of = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).expect("text");
            text.split_once("\r\n\r\n").expect("a head").1.to_owned()
        };
        let old = conversation(http, b"GET /stream HTTP/1.0\r\n\r\n");
        assert_eq!(body_of(&old), BARE.repeat(2000));
        let chunked = conversation(
            http,
            b"GET /stream HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        );
        let chunk = format!("{:X}\r\n{BARE}\r\n", BARE.len());
        assert_eq!(body_of(&chunked), chunk.repeat(2000) + "0\r\n\r\n");

        let (head, large) = ("content-length: 60000\r\n", "a".repeat(60_000));
        let echo = conversation(
            http,
            format!("POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{head}\r\n{large}")
                .as_bytes(),
        );
        assert_eq!(body_of(&echo), large);

        // Pipelined: answers first, then the rubbish's.
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        let all = get("/bare") + &get("/x") + &get("/bare") + "rub\x01bish\r\n\r\n";
        let text = String::from_utf8(conversation(http, all.as_bytes())).expect("text");
        let bodies: Vec<&str> = text.split("HTTP/1.1 200 OK\r\n").skip(1).collect();
        assert_eq!(bodies.len(), 3, "{text}");
        assert!(bodies[0].ends_with(&format!("\r\n\r\n{BARE}")), "{text}");
        assert!(bodies[1].ends_with("\r\n\r\nx"), "{text}");
        let last = bodies[2].split_once("\r\n\r\n").expect("a head").1;
        let problem = last.strip_prefix(BARE).expect("the whole body");
        assert!(
            problem.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{text}"
        );
        assert!(
            problem.contains("application/problem+json") && problem.ends_with('}'),
            "{text}"
        );
    })
    .await
    .expect("does not panic");
    running.stop().await;
}
