//! Peers that stall: each of their connections ends in bounded time, whatever they hold back.

use std::time::{Duration, Instant};

use crate::support::{
    case::Bench,
    config,
    connection::Connection,
    gateway::Gateway,
    upstream::{Reply, Upstream},
};

/// Configured below for whatever is waited for.
const LIMIT: Duration = Duration::from_millis(500);
/// Far above what any of them takes, and far below the defaults.
const BOUND: Duration = Duration::from_secs(10);

const SETTINGS: &str = "header_timeout = \"500ms\"
body_timeout = \"500ms\"
[limits]
idle_timeout = \"500ms\"";

/// Waits for the end, which must not come before the limit has passed.
async fn ends(connection: &mut Connection, since: Instant) -> String {
    let rest = connection.ended().await.unwrap();
    let took = since.elapsed();
    assert!(took < BOUND, "took {took:?}");
    assert!(
        took >= LIMIT - Duration::from_millis(50),
        "ended after {took:?}"
    );
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn a_head_that_stalls() {
    let bench = start().await;
    for begin in [
        "G",
        "GET /a HTTP/1.1",
        "GET /a HTTP/1.1\r\nHost: a\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r",
    ] {
        let mut connection = Connection::to(bench.gateway.http).await;
        let since = Instant::now();
        connection.send(begin.as_bytes()).await;
        let rest = ends(&mut connection, since).await;
        assert!(
            rest.is_empty() || rest.starts_with("HTTP/1.1 408 "),
            "{begin:?}: {rest:?}"
        );
    }
    assert_eq!(bench.reached().await.unwrap(), []);
}

/// Each byte comes in time, but all of them do not.
#[tokio::test]
async fn a_head_byte_by_byte() {
    let bench = start().await;
    let mut connection = Connection::to(bench.gateway.http).await;
    let since = Instant::now();
    connection.send(b"GET /a HTTP/1.1\r\nHost: a\r\nX: ").await;
    while since.elapsed() < BOUND {
        if !connection.send(b"y").await {
            break;
        }
        // The pace of an attacker, not a wait for something to happen.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rest = ends(&mut connection, since).await;
    assert!(
        rest.is_empty() || rest.starts_with("HTTP/1.1 408 "),
        "{rest:?}"
    );
    assert_eq!(bench.reached().await.unwrap(), []);
}

#[tokio::test]
async fn a_body_that_stalls() {
    let bench = start().await;
    for (fields, begin) in [
        ("Content-Length: 5\r\n", "abc"),
        ("Content-Length: 5\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"),
        ("Transfer-Encoding: chunked\r\n", "3\r\nab"),
        ("Transfer-Encoding: chunked\r\n", "0\r\n"),
    ] {
        let mut connection = Connection::to(bench.gateway.http).await;
        let since = Instant::now();
        let request = format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n{begin}");
        connection.send(request.as_bytes()).await;
        let rest = ends(&mut connection, since).await;
        assert!(
            rest.is_empty() || rest.starts_with("HTTP/1.1 408 "),
            "{begin:?}: {rest:?}"
        );
    }
    assert_eq!(bench.reached().await.unwrap(), []);
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_ever_sent() {
    let bench = start().await;
    let since = Instant::now();
    let mut connection = Connection::to(bench.gateway.http).await;
    let rest = ends(&mut connection, since).await;
    assert!(
        rest.is_empty() || rest.starts_with("HTTP/1.1 408 "),
        "{rest:?}"
    );
}

#[tokio::test]
async fn an_idle_connection() {
    let bench = start().await;
    let mut connection = Connection::to(bench.gateway.http).await;
    connection.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        connection.answer(false).await.unwrap().unwrap().status(),
        200
    );
    let rest = ends(&mut connection, Instant::now()).await;
    assert!(rest.is_empty(), "{rest:?}");
}

async fn start() -> Bench {
    Bench::start(SETTINGS).await
}

/// A large answer that the client does not take: neither side's connection is held for ever.
#[tokio::test]
async fn a_client_that_stops_reading() {
    let bench = start().await;
    // More than all buffers on the way.
    let large = vec![b'x'; 32 << 20];
    bench.upstream.reply(Reply::Bytes(
        [
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", large.len()).as_bytes(),
            &large,
        ]
        .concat(),
    ));
    let mut connection = Connection::to(bench.gateway.http).await;
    connection.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // The beginning is there, so the rest is on its way; and then nothing is read.
    connection.bytes(1).await.unwrap();
    let since = Instant::now();
    // How long a client may accept nothing is no setting of its own.
    let bound = BOUND + Duration::from_secs(35);
    while since.elapsed() < bound {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // A peer that has closed refuses bytes, with an error from the second time on.
        if !connection.send(b"\r\n").await {
            break;
        }
    }
    let got = connection.ended().await.unwrap();
    assert!(since.elapsed() < bound);
    assert!(got.len() < large.len(), "all of it came");
}

/// The upstream's turn: head and body.
#[tokio::test]
async fn an_upstream_that_stalls() {
    let upstream = crate::support::upstream::Upstream::start().await;
    let text = format!(
        "[upstreams.only]\nurl = \"http://{}\"\ntimeout = \"500ms\"\n[[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n",
        upstream.address
    );
    let gateway =
        crate::support::gateway::Gateway::start(&crate::support::config::file(&text), &[]).await;
    for reply in [
        Reply::Silence,
        Reply::bytes("HTTP/1.1 200 OK\r\n"),
        Reply::bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"),
    ] {
        upstream.reply(reply);
        let since = Instant::now();
        let mut connection = Connection::to(gateway.http).await;
        connection
            .send(b"POST /a HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        let answer = connection.answer(false).await.unwrap().unwrap();
        assert_eq!(answer.status(), 504, "{answer:?}");
        assert!(since.elapsed() < BOUND);
    }
}

/// Neither ejected nor asked once more: a body that one endpoint waits for in vain another would as well.
#[tokio::test]
async fn no_endpoint_is_to_blame_for_a_body_that_stalls() {
    let endpoints = [Upstream::start().await, Upstream::start().await];
    let [one, other] = &endpoints;
    let text = format!(
        "[upstreams.only]\nendpoints = [\"http://{}\", \"http://{}\"]\ntimeout = \"300ms\"\nbalancer = \"round_robin\"\n\
         ejection = {{ consecutive_failures = 1, max_share = 1.0 }}\nretry = {{ attempts = 2, backoff = \"10s\", backoff_max = \"10s\" }}\n\
         [[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n",
        one.address, other.address
    );
    let gateway = Gateway::start(&config::file(&text), &["workers=1".to_owned()]).await;
    for _ in 0..4 {
        let since = Instant::now();
        let mut connection = Connection::to(gateway.http).await;
        connection
            .send(b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
            .await;
        let answer = connection.answer(false).await.unwrap().unwrap();
        assert_eq!(answer.status(), 408, "{answer:?}");
        assert!(since.elapsed() < Duration::from_secs(3), "sent once more");
    }
    for _ in 0..4 {
        let mut connection = Connection::to(gateway.http).await;
        connection.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = connection.answer(false).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200, "{answer:?}");
    }
    let got = endpoints.each_ref().map(Upstream::arrivals);
    assert_eq!(got, [2, 2], "an endpoint is left out");
}
