//! What no well-behaved client sends: answered with a 4xx (or a 501), and never passed on.

use crate::{
    proxy::in_front_of,
    support::{
        client::raw,
        upstream::{Behaviour, Upstream},
    },
};

/// Adds a `Host`, and the wish that the connection be closed, which `raw` waits for.
fn with_path(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn rubbish_gets_its_answer_and_reaches_no_upstream() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let gateway = in_front_of(&upstream, "").await;
    let paths = [
        "/a/../b",
        "/..",
        "/a/..",
        "/./a",
        "/a/%2e%2e/b",
        "/a/.%2E/b",
        "/a/%2e",
        "/a/..;/b",
        "/a/..;x=1/b",
        "//",
        "//a",
        "/a//b",
        "/a%2fb",
        "/a%2F..%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a\\..\\b",
        "/a%00",
        "/a%0d%0aX:y",
        "/a%",
        "/a%zz",
        "/a%252e%252e/b",
        "/%2561",
        "/a%c0%afb",
        "/a%ff",
        "*",
        "http://evil.example/a",
        "https://shop.example/a",
        "ftp://shop.example/a",
        "a",
    ];
    let mut cases: Vec<(String, &str)> =
        paths.iter().map(|path| (with_path(path), "400")).collect();
    let close = "Connection: close\r\n\r\n";
    cases.extend([
        (format!("GET /a HTTP/1.1\r\n{close}"), "400"),
        (format!("GET /a HTTP/1.1\r\nHost:\r\n{close}"), "400"),
        (
            format!("GET /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n{close}"),
            "400",
        ),
        (format!("GET /a HTTP/1.1\r\nHost: a, b\r\n{close}"), "400"),
        (format!("GET /a HTTP/1.1\r\nHost: user@a\r\n{close}"), "400"),
        (format!("GET /a HTTP/1.1\r\nHost: a/b\r\n{close}"), "400"),
        (format!("GET /a HTTP/1.1\r\nHost: a:b\r\n{close}"), "400"),
        (format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n{close}"), "400"),
        (
            format!("CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n{close}"),
            "501",
        ),
        ("GET /a\r\n\r\n".to_owned(), "400"),
        ("GET /a HTTP/9.9\r\n\r\n".to_owned(), "400"),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "400"),
        ("\0\u{1}\u{2}\r\n\r\n".to_owned(), "400"),
        (
            "GET /a HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "GET /a HTTP/1.1\r\nHost: a\r\nX y: z\r\n\r\n".to_owned(),
            "400",
        ),
        ("GET /a HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(), "400"),
        (
            "GET /a HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"
                .to_owned(),
            "400",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx".to_owned(),
            "400",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "400",
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(70_000)),
            "414",
        ),
        (
            format!(
                "GET /a HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "X: y\r\n".repeat(200)
            ),
            "431",
        ),
    ]);
    for (request, status) in &cases {
        let answer = raw(gateway.http, request.as_bytes()).await;
        let begin = format!("HTTP/1.1 {status} ");
        let shown: String = request.chars().take(120).collect();
        assert!(
            answer.starts_with(&begin),
            "{shown:?} was answered with {answer:?}"
        );
        assert!(!answer.contains(&upstream.address.to_string()));
    }
    assert_eq!(upstream.arrivals(), 0, "{:?}", upstream.seen());
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let gateway = in_front_of(&upstream, "").await;
    for (request, detail) in [
        (with_path("/a/%2e%2e/b"), "dot segment"),
        (with_path("/a//b"), "empty segment"),
        (
            "GET /a HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
            "the Host header is missing",
        ),
    ] {
        let answer = raw(gateway.http, request.as_bytes()).await;
        assert!(
            answer.contains("content-type: application/problem+json"),
            "{answer}"
        );
        assert!(answer.contains(detail), "{answer}");
    }
}

/// Two readings of where a request ends: only one request may come out, with only one framing.
#[tokio::test]
async fn a_request_with_both_framings_comes_out_with_one() {
    let upstream = Upstream::start(Behaviour::Echo).await;
    let gateway = in_front_of(&upstream, "").await;
    let request = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                   0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = raw(gateway.http, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    for seen in upstream.seen() {
        assert_eq!(seen.target, "/a");
        assert!(
            !(seen.headers.contains_key("content-length")
                && seen.headers.contains_key("transfer-encoding"))
        );
    }
}

#[tokio::test]
async fn an_offer_of_h2c_is_ignored_and_not_passed_on() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let gateway = in_front_of(&upstream, "").await;
    let request = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\
                   HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    let answer = raw(gateway.http, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let seen = upstream.seen().pop().unwrap();
    assert!(!seen.headers.contains_key("upgrade") && !seen.headers.contains_key("http2-settings"));
}

/// An upstream may not change the protocol of a connection on its own.
#[tokio::test]
async fn an_unasked_101_is_a_502() {
    let upstream = Upstream::start(Behaviour::Status(
        101,
        &[("connection", "upgrade"), ("upgrade", "x")],
    ))
    .await;
    let gateway = in_front_of(&upstream, "").await;
    let answer = raw(gateway.http, with_path("/a").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

/// Made of what tricks are made of, in any order: what gets through arrives as it was sent, and the rest does not arrive.
#[tokio::test]
async fn a_made_up_path_is_refused_or_arrives_as_it_was_sent() {
    const PARTS: [&str; 22] = [
        "/", "/", "/", "a", "b", ".", "..", "%2e", "%2F", "%5c", "\\", "%25", "2e", "%61", ";",
        "%3B", "%00", "%", "~", "%C3%A9", "%c0%af", "?",
    ];
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let gateway = in_front_of(&upstream, "").await;
    // Any sequence will do, as long as it is the same in every run.
    let mut state: u32 = 1;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let (mut passed, mut refused) = (0, 0);
    for _ in 0..400 {
        let length = 1 + next(7);
        let parts = (0..length).map(|_| PARTS[next(PARTS.len() as u32) as usize]);
        let target = std::iter::once("/").chain(parts).collect::<String>();
        let before = upstream.arrivals();
        let answer = raw(gateway.http, with_path(&target).as_bytes()).await;
        if answer.starts_with("HTTP/1.1 200 ") {
            assert_eq!(upstream.seen().pop().unwrap().target, target);
            let path = target.split('?').next().unwrap();
            assert!(
                !path.contains("//") && !path.contains("/../") && !path.ends_with("/.."),
                "{target}"
            );
            passed += 1;
        } else {
            assert!(answer.starts_with("HTTP/1.1 400 "), "{target}: {answer}");
            assert_eq!(upstream.arrivals(), before, "{target}");
            refused += 1;
        }
    }
    assert!(
        passed > 50 && refused > 50,
        "{passed} passed, {refused} refused"
    );
}
