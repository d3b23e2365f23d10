//! What goes in one side comes out at the other.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use http::{Method, Request};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

use crate::support::{
    client::{ask, get, raw, send},
    config,
    gateway::Gateway,
    poll::{soon, until},
    upstream::{Behaviour, Upstream},
};

/// A gateway in front of one upstream that takes every path but the gateway's own.
pub async fn in_front_of(upstream: &Upstream, settings: &str) -> Gateway {
    let text = format!(
        "max_body = \"1GiB\"\n{settings}\n[upstreams.only]\nurl = {:?}\ntimeout = \"30s\"\n[[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n",
        upstream.url()
    );
    Gateway::start(&config::file(&text), &[]).await
}

#[tokio::test]
async fn every_method_and_every_byte_of_the_target_is_kept() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let gateway = in_front_of(&upstream, "").await;
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/a/b/"),
        ("POST", "/a?"),
        ("PUT", "/a?b=c&b=d"),
        ("DELETE", "/a?q=%2e%2e%2F..//&x=%zz"),
        ("PATCH", "/%70%c3%a9;v=1?a+b=%20"),
        ("OPTIONS", "/a:b@c!$&'()*+,=~?/?[]{}|^`\\"),
        ("PROPFIND", "/made-up"),
        ("HEAD", "/head"),
    ] {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = raw(gateway.http, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 "),
            "{method} {target}: {answer}"
        );
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(
            (seen.method.as_str(), seen.target.as_str()),
            (method, target)
        );
    }
}

#[tokio::test]
async fn headers_are_passed_on_except_those_of_the_connection() {
    let upstream = Upstream::start(Behaviour::Status(
        418,
        &[
            ("x-answer", "1"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
        ],
    ))
    .await;
    let gateway = in_front_of(&upstream, "").await;
    let request = Request::get("/a")
        .header("host", "shop.example:8080")
        .header("x-question", "1")
        .header("x-question", "2")
        .header("connection", "x-secret-hop, te")
        .header("x-secret-hop", "1")
        .header("te", "trailers")
        .header("keep-alive", "timeout=5")
        .header("proxy-authorization", "Basic x")
        .body(Body::empty())
        .unwrap();
    let answer = ask(gateway.http, request).await;

    assert_eq!(answer.status, 418);
    assert_eq!(&answer.body[..], b"an upstream's own words");
    assert_eq!(answer.headers["x-answer"], "1");
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(answer.headers["via"], "1.1 gateway");
    assert!(!answer.headers.contains_key("x-hop"));

    let seen = upstream.seen().pop().unwrap().headers;
    assert_eq!(seen["host"], upstream.address.to_string());
    let questions: Vec<_> = seen.get_all("x-question").iter().collect();
    assert_eq!(questions, ["1", "2"]);
    for gone in ["x-secret-hop", "te", "keep-alive", "proxy-authorization"] {
        assert!(!seen.contains_key(gone), "{gone}");
    }
    assert_eq!(seen["x-forwarded-proto"], "http");
    assert_eq!(seen["x-forwarded-host"], "shop.example:8080");
    let forwarded = seen["forwarded"].to_str().unwrap();
    assert!(
        forwarded.ends_with(";host=\"shop.example:8080\";proto=http"),
        "{forwarded}"
    );
    assert_eq!(seen["via"], "1.1 gateway");
}

#[tokio::test]
async fn the_client_is_named() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let gateway = in_front_of(&upstream, "").await;
    let request = Request::get("/a")
        .header("x-forwarded-for", "203.0.113.9")
        .body(Body::empty())
        .unwrap();
    ask(gateway.http, request).await;
    let seen = upstream.seen().pop().unwrap().headers;
    // Whoever may be anybody is not believed.
    assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
    let forwarded = seen["forwarded"].to_str().unwrap();
    assert!(forwarded.starts_with("for=127.0.0.1;"), "{forwarded}");
}

#[tokio::test]
async fn the_trace_goes_on() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let gateway = in_front_of(&upstream, "").await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = Request::get("/a")
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .body(Body::empty())
        .unwrap();
    ask(gateway.http, request).await;
    let seen = upstream.seen().pop().unwrap();
    assert!(
        seen.headers["traceparent"]
            .to_str()
            .unwrap()
            .contains(trace)
    );
}

#[tokio::test]
async fn a_body_arrives_before_the_request_is_complete_and_so_does_its_answer() {
    let upstream = Upstream::start(Behaviour::Echo).await;
    let gateway = in_front_of(&upstream, "").await;
    let (chunks, body) = mpsc::unbounded_channel::<Result<Bytes, Infallible>>();
    let body =
        futures_util::stream::unfold(body, async |mut body| Some((body.recv().await?, body)));
    let request = Request::post("/echo")
        .body(Body::from_stream(body.boxed()))
        .unwrap();
    chunks.send(Ok("first".into())).unwrap();
    // The rest of the request does not exist yet.
    let response = soon("the head", send(gateway.http, request)).await.unwrap();
    let mut echoed = response.into_body();
    for chunk in ["first", "second", "third"] {
        if chunk != "first" {
            chunks.send(Ok(chunk.into())).unwrap();
        }
        let mut got = Vec::new();
        while got.len() < chunk.len() {
            let frame = soon("an echoed chunk", echoed.frame())
                .await
                .unwrap()
                .unwrap();
            got.extend_from_slice(&frame.into_data().unwrap());
        }
        assert_eq!(got, chunk.as_bytes());
    }
    drop(chunks);
    assert!(soon("the end", echoed.frame()).await.is_none());
}

#[tokio::test]
async fn large_bodies_pass_both_ways_unchanged() {
    let upstream = Upstream::start(Behaviour::Echo).await;
    let gateway = in_front_of(&upstream, "").await;
    let large: Bytes = (0..10 * 1024 * 1024_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let sized = Body::from(large.clone());
    let chunked = Body::from_stream(futures_util::stream::iter(
        large
            .chunks(70_001)
            .map(|chunk| Ok::<_, Infallible>(Bytes::copy_from_slice(chunk)))
            .collect::<Vec<_>>(),
    ));
    for body in [sized, chunked] {
        let request = Request::builder()
            .method(Method::PUT)
            .uri("/large")
            .body(body)
            .unwrap();
        let answer = ask(gateway.http, request).await;
        assert_eq!(answer.status, 200);
        assert!(
            answer.body == large,
            "{} bytes came back",
            answer.body.len()
        );
    }
}

#[tokio::test]
async fn the_head_of_an_answer_without_body_says_nothing_that_the_upstream_did_not() {
    let upstream = Upstream::start(Behaviour::Status(304, &[("etag", "\"1\"")])).await;
    let gateway = in_front_of(&upstream, "").await;
    let answer = get(gateway.http, "/cached").await;
    assert_eq!(answer.status, 304);
    assert_eq!(answer.headers["etag"], "\"1\"");
    assert!(
        !answer.headers.contains_key("content-length"),
        "{:?}",
        answer.headers
    );

    upstream.behave(Behaviour::Json("{\"a\":1}"));
    let head = Request::head("/a").body(Body::empty()).unwrap();
    let answer = ask(gateway.http, head).await;
    assert_eq!(answer.headers["content-length"], "7");
    assert!(answer.body.is_empty());

    upstream.behave(Behaviour::Endless);
    let head = Request::head("/a").body(Body::empty()).unwrap();
    let answer = ask(gateway.http, head).await;
    assert!(
        !answer.headers.contains_key("content-length"),
        "{:?}",
        answer.headers
    );
}

#[tokio::test]
async fn an_upstreams_own_errors_and_empty_answers_are_not_replaced() {
    let upstream = Upstream::start(Behaviour::Status(404, &[])).await;
    let gateway = in_front_of(&upstream, "").await;
    for status in [404, 405, 429, 500, 503] {
        upstream.behave(Behaviour::Status(status, &[("retry-after", "7")]));
        let answer = get(gateway.http, "/a").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers["retry-after"], "7");
        assert_eq!(&answer.body[..], b"an upstream's own words");
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_502_that_does_not_say_where_it_should_be() {
    let upstream = Upstream::start(Behaviour::Hang).await;
    let gateway = in_front_of(&upstream, "").await;
    let (url, port) = (upstream.url(), upstream.address.port().to_string());
    drop(upstream);
    let answer = until("the upstream is gone", async || {
        let answer = get(gateway.http, "/a").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    answer.problem(502);
    let text = format!("{answer:?}");
    assert!(!text.contains(&url) && !text.contains(&port), "{text}");
}

#[tokio::test]
async fn an_upstream_that_hangs_is_a_504_after_the_time_out() {
    let upstream = Upstream::start(Behaviour::Hang).await;
    let text = format!(
        "[upstreams.only]\nurl = {:?}\ntimeout = \"50ms\"\n[[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n",
        upstream.url()
    );
    let gateway = Gateway::start(&config::file(&text), &[]).await;
    get(gateway.http, "/a").await.problem(504);
    upstream.cancelled(1).await;
}

#[tokio::test]
async fn a_request_that_takes_longer_than_any_may_is_a_503() {
    let upstream = Upstream::start(Behaviour::Hang).await;
    let gateway = in_front_of(&upstream, "request_timeout = \"200ms\"").await;
    let problem = get(gateway.http, "/a").await.problem(503);
    assert!(problem.contains("took too long"), "{problem}");
}

#[tokio::test]
async fn a_truncated_answer_does_not_look_complete() {
    let upstream = Upstream::start(Behaviour::Truncate).await;
    let gateway = in_front_of(&upstream, "").await;
    let request = Request::get("/a").body(Body::empty()).unwrap();
    // Whether the head gets through depends on how soon the rest breaks off.
    let exchange = async {
        let response = send(gateway.http, request).await?;
        response.into_body().collect().await
    };
    assert!(soon("the end", exchange).await.is_err());
}

#[tokio::test]
async fn a_guard_that_refuses_says_when_to_come_back() {
    let upstream = Upstream::start(Behaviour::Status(503, &[])).await;
    let text = format!(
        "[upstreams.only]\nurl = {:?}\n[upstreams.only.breaker]\nconsecutive_failures = 2\nopen_for = \"30s\"\n\
         [[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n",
        upstream.url()
    );
    let gateway = Gateway::start(&config::file(&text), &[]).await;
    for _ in 0..2 {
        let answer = get(gateway.http, "/a").await;
        assert_eq!(&answer.body[..], b"an upstream's own words");
    }
    for _ in 0..5 {
        let answer = get(gateway.http, "/a").await;
        answer.problem(503);
        let wait: u64 = answer.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
    }
    assert_eq!(upstream.arrivals(), 2);
}

#[tokio::test]
async fn the_gateways_own_paths_are_its_own() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let text = format!(
        "[upstreams.only]\nurl = {:?}\n[[route]]\npath = \"/products\"\nupstream = \"only\"\n",
        upstream.url()
    );
    let gateway = Gateway::start(&config::file(&text), &[]).await;
    let answer = get(gateway.http, "/health").await;
    assert_eq!(answer.json(), serde_json::json!({ "status": "healthy" }));
    let answer = get(gateway.http, "/circuit-status").await;
    assert_eq!(answer.json(), serde_json::json!({ "circuits": [] }));
    for unknown in [
        "/",
        "/nothing",
        "/health/",
        "/products/1",
        "/product-details/1",
    ] {
        assert_eq!(
            get(gateway.http, unknown).await.problem(404),
            "Not Found",
            "{unknown}"
        );
    }
    let wrong = Request::post("/health").body(Body::empty()).unwrap();
    let answer = ask(gateway.http, wrong).await;
    answer.problem(405);
    assert_eq!(answer.headers["allow"], "GET,HEAD");
    assert_eq!(upstream.arrivals(), 0);
}

#[tokio::test]
async fn a_full_bulkhead_refuses_what_it_has_no_room_for() {
    let upstream = Upstream::start(Behaviour::Hang).await;
    let text = format!(
        "[upstreams.only]\nurl = {:?}\n[upstreams.only.bulkhead]\nmax_concurrent = 1\n\
         [[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n",
        upstream.url()
    );
    let gateway = Gateway::start(&config::file(&text), &[]).await;
    let first = tokio::spawn({
        let http = gateway.http;
        async move { get(http, "/a").await }
    });
    until("the first is under way", async || {
        (upstream.arrivals() == 1).then_some(())
    })
    .await;
    let answer = get(gateway.http, "/a").await;
    answer.problem(503);
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(upstream.arrivals(), 1);

    // The one that leaves makes room.
    first.abort();
    upstream.behave(Behaviour::Json("{}"));
    until("there is room again", async || {
        (get(gateway.http, "/a").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_a_413_and_not_the_upstreams_failure() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let text = format!(
        "max_body = 1000\n[upstreams.only]\nurl = {:?}\n[upstreams.only.breaker]\nconsecutive_failures = 1\n\
         [[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n",
        upstream.url()
    );
    let gateway = Gateway::start(&config::file(&text), &[]).await;
    let announced = Body::from(vec![b'x'; 1001]);
    let chunked = Body::from_stream(futures_util::stream::iter(
        (0..11).map(|_| Ok::<_, Infallible>(Bytes::from(vec![b'x'; 100]))),
    ));
    for body in [announced, chunked] {
        ask(gateway.http, Request::post("/a").body(body).unwrap())
            .await
            .problem(413);
    }
    let enough = Request::post("/a")
        .body(Body::from(vec![b'x'; 1000]))
        .unwrap();
    assert_eq!(
        ask(gateway.http, enough).await.status,
        200,
        "the circuit is closed"
    );
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_to_go_on_is_told() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let gateway = in_front_of(&upstream, "").await;
    let exchange = async {
        let mut client = TcpStream::connect(gateway.http).await.unwrap();
        let head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
        client.write_all(head).await.unwrap();
        let mut told = [0; 25];
        client.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"body").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = soon("the answer", exchange).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{}"),
        "{answer}"
    );
}
