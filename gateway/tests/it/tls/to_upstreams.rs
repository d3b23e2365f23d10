//! TLS and HTTP/2 to upstreams.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::body::Body;
use futures_util::future::join_all;
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::gateway;
use crate::support::{
    client::{ask, get, send},
    h2_upstream::{H2Upstream, TOGETHER},
    pki::Authority,
    poll::until,
    upstream::{Behaviour, Upstream},
};

const PLAIN: &str = "protocol = \"http2\"\ntimeout = \"20s\"";

fn plain(upstream: &H2Upstream, keys: &str) -> String {
    format!("url = \"http://{}\"\n{PLAIN}\n{keys}", upstream.address)
}

#[tokio::test]
async fn an_upstream_must_be_who_it_should_be() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let by_address = authority.sign(&["127.0.0.1"]).acceptor(&["h2", "http/1.1"]);
    let by_name = authority.sign(&["cart.internal"]).acceptor(&["h2"]);
    let by_address = H2Upstream::start(Some(by_address), 100).await;
    let by_name = H2Upstream::start(Some(by_name), 100).await;
    for (upstream, tls, status) in [
        (&by_address, format!("ca = {:?}", authority.file()), 200),
        (&by_address, format!("ca = {:?}", stranger.file()), 502),
        (&by_name, format!("ca = {:?}", authority.file()), 502),
        (
            &by_name,
            format!(
                "ca = {:?}, server_name = \"cart.internal\"",
                authority.file()
            ),
            200,
        ),
        (
            &by_address,
            format!(
                "ca = {:?}, server_name = \"cart.internal\"",
                authority.file()
            ),
            502,
        ),
        // Nobody that the system trusts has signed this.
        (&by_address, String::new(), 502),
    ] {
        let keys = format!("url = \"https://{}\"\ntls = {{ {tls} }}", upstream.address);
        let gateway = gateway("", &keys).await;
        let answer = get(gateway.http, "/a").await;
        assert_eq!(answer.status, status, "{tls}");
        if status == 200 {
            assert_eq!(&answer.body[..], b"over h2");
            let seen = upstream.seen().pop().unwrap();
            assert_eq!(
                seen.uri.to_string(),
                format!("https://{}/a", upstream.address)
            );
            assert!(!seen.headers.contains_key("host"));
        } else {
            answer.problem(502);
        }
    }
}

#[tokio::test]
async fn a_hundred_requests_share_one_connection() {
    let upstream = H2Upstream::start(None, 200).await;
    let gateway = gateway("", &plain(&upstream, "")).await;
    // They are answered when all of them have arrived.
    let answers = (0..TOGETHER).map(|_| get(gateway.http, "/together"));
    for answer in join_all(answers).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn further_connections_are_made_when_streams_are_used_up() {
    let upstream = H2Upstream::start(None, 25).await;
    let gateway = gateway("", &plain(&upstream, "")).await;
    // By now the upstream has said how many it takes.
    for _ in 0..2 {
        assert_eq!(get(gateway.http, "/a").await.status, 200);
    }
    assert_eq!(upstream.connections(), 1);
    let answers = (0..TOGETHER).map(|_| get(gateway.http, "/together"));
    for answer in join_all(answers).await {
        assert_eq!(answer.status, 200);
    }
    assert!(upstream.connections() >= 4, "{}", upstream.connections());
}

#[tokio::test]
async fn an_upstream_that_goes_away_costs_no_request() {
    let upstream = H2Upstream::start(None, 200).await;
    let gateway = gateway("", &plain(&upstream, "")).await;
    let loads = (0..8).map(async |_| {
        for _ in 0..25 {
            let request = Request::get("/leaving").body(Body::empty()).unwrap();
            assert_eq!(ask(gateway.http, request).await.status, 200);
        }
    });
    join_all(loads).await;
    assert!(upstream.connections() > 5, "{}", upstream.connections());
}

#[tokio::test]
async fn what_was_refused_is_sent_again_even_if_it_is_no_get() {
    let upstream = H2Upstream::start(None, 100).await;
    let gateway = gateway("", &plain(&upstream, "")).await;
    let request = Request::post("/refused-once").body(Body::empty()).unwrap();
    assert_eq!(ask(gateway.http, request).await.status, 200);
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn the_host_is_the_authority() {
    let upstream = H2Upstream::start(None, 100).await;
    for (host, expected) in [
        ("upstream", upstream.address.to_string()),
        ("preserve", "shop.example:81".to_owned()),
        ("cart.example", "cart.example".to_owned()),
    ] {
        let gateway = gateway("", &plain(&upstream, &format!("host = {host:?}"))).await;
        let request = Request::get("/a?b=c")
            .header("host", "shop.example:81")
            .header("te", "trailers")
            .header("connection", "te, x-hop")
            .header("x-hop", "1")
            .body(Body::empty())
            .unwrap();
        assert_eq!(ask(gateway.http, request).await.status, 200);
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(seen.uri.to_string(), format!("http://{expected}/a?b=c"));
        assert_eq!(seen.headers["te"], "trailers");
        for gone in ["host", "connection", "x-hop"] {
            assert!(!seen.headers.contains_key(gone), "{gone}");
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_away_resets_its_stream_alone() {
    let upstream = H2Upstream::start(None, 100).await;
    let gateway = gateway("", &plain(&upstream, "")).await;
    let request = Request::get("/hang").body(Body::empty()).unwrap();
    let hanging = tokio::spawn(send(gateway.http, request));
    until("the request has arrived", async || {
        (!upstream.seen().is_empty()).then_some(())
    })
    .await;
    hanging.abort();
    let _ = hanging.await;
    upstream.resets(1).await;
    assert_eq!(get(gateway.http, "/a").await.status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_the_clients_fault() {
    let upstream = H2Upstream::start(None, 100).await;
    let breaker = "breaker = { consecutive_failures = 1, open_for = \"1h\" }";
    let gateway = gateway("max_body = \"10B\"", &plain(&upstream, breaker)).await;
    let pieces = ["0123456789", "0123456789"].map(Ok::<_, Infallible>);
    let request = Request::post("/hang")
        .body(Body::from_stream(futures_util::stream::iter(pieces)))
        .unwrap();
    ask(gateway.http, request).await.problem(413);
    upstream.resets(1).await;
    assert_eq!(get(gateway.http, "/a").await.status, 200);
}

/// A server that speaks HTTP/1.1 over TLS, and counts its connections.
async fn http1_over_tls(acceptor: TlsAcceptor) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), counted.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                counted.fetch_add(1, Ordering::SeqCst);
                let service = service_fn(async |request: Request<Incoming>| {
                    let host = request.headers()["host"].to_str().unwrap().to_owned();
                    Ok::<_, Infallible>(Response::new(host))
                });
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (address, connections)
}

#[tokio::test]
async fn an_upstream_that_would_rather_speak_http1_may() {
    let authority = Authority::new();
    let signed = authority.sign(&["127.0.0.1"]);
    for alpn in [&["http/1.1"][..], &[]] {
        let (address, connections) = http1_over_tls(signed.acceptor(alpn)).await;
        let keys = format!(
            "url = \"https://{address}\"\ntls = {{ ca = {:?} }}",
            authority.file()
        );
        let gateway = gateway("", &keys).await;
        for answer in join_all((0..20).map(|_| get(gateway.http, "/a"))).await {
            assert_eq!(answer.status, 200);
            assert_eq!(answer.body, address.to_string());
        }
        let made = connections.load(Ordering::SeqCst);
        for _ in 0..5 {
            assert_eq!(get(gateway.http, "/a").await.status, 200);
        }
        assert_eq!(connections.load(Ordering::SeqCst), made);
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_speak_http2_cannot_be_reached() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let keys = format!("url = {:?}\n{PLAIN}", upstream.url());
    let gateway = gateway("", &keys).await;
    get(gateway.http, "/a").await.problem(502);
    assert_eq!(upstream.arrivals(), 0);
}

#[tokio::test]
async fn checks_speak_tls_as_requests_do() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let acceptor = authority.sign(&["127.0.0.1"]).acceptor(&["h2"]);
    let upstream = H2Upstream::start(Some(acceptor), 100).await;
    for (kind, ca, thought) in [
        ("http\", path = \"/healthy", &authority, "healthy"),
        ("grpc", &authority, "healthy"),
        ("http", &stranger, "unhealthy"),
    ] {
        let keys = format!(
            "url = \"https://{}\"\ntls = {{ ca = {:?} }}\n\
             health = {{ kind = \"{kind}\", interval = \"2s\", timeout = \"2s\", healthy_after = 1, unhealthy_after = 1 }}",
            upstream.address,
            ca.file()
        );
        let gateway = gateway("", &keys).await;
        let says = |line: &str| {
            line.starts_with("gateway_health_endpoints")
                && line.contains(&format!("=\"{thought}\""))
                && line.ends_with(" 1")
        };
        until("the check has its result", async || {
            let metrics = get(gateway.ops, "/metrics").await;
            let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
            metrics.lines().any(says).then_some(())
        })
        .await;
    }
}
