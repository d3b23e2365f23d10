//! The client against servers made of plain sockets, so that every byte it sends is seen.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use axum::body::Body;
use http::{Request, Uri};
use service_kit::BoxError;
use service_kit::client::{ClientSettings, HttpClient, JsonError, json};
use service_kit::telemetry::trace_context::TraceContext;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

fn client(address: SocketAddr, path: &str) -> HttpClient {
    let base: Uri = format!("http://{address}{path}")
        .parse()
        .expect("an address");
    HttpClient::new(base, ClientSettings::default())
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a request"));
    }
    String::from_utf8(head).expect("text")
}

async fn answer(stream: &mut TcpStream, body: &str) {
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.expect("sent");
}

/// Answers one request and gives its head.
async fn one(listener: TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let head = head(&mut stream).await;
    answer(&mut stream, "{}").await;
    head
}

fn to(target: &str) -> Request<Body> {
    Request::get(target).body(Body::empty()).expect("a request")
}

#[tokio::test]
async fn the_target_is_joined_to_the_base() {
    let cases = [
        (
            "",
            "/products/1?x=%20y",
            "GET /products/1?x=%20y HTTP/1.1\r\n",
        ),
        ("/", "/products", "GET /products HTTP/1.1\r\n"),
        ("/base", "/products?q", "GET /base/products?q HTTP/1.1\r\n"),
        ("/base/", "/", "GET /base/ HTTP/1.1\r\n"),
        ("", "http://elsewhere.test:1/path", "GET /path HTTP/1.1\r\n"),
    ];
    for (base, target, line) in cases {
        let (listener, address) = listener().await;
        let seen = tokio::spawn(one(listener));
        let mut request = to(target);
        request
            .headers_mut()
            .insert("host", "shop.test".parse().expect("a header"));
        client(address, base)
            .oneshot(request)
            .await
            .expect("an answer");
        let head = seen.await.expect("does not panic");
        assert!(head.starts_with(line), "{base} {target}: {head}");
        assert!(head.contains(&format!("\r\nhost: {address}\r\n")), "{head}");
    }
}

#[tokio::test]
async fn the_trace_is_sent_on() {
    let context = TraceContext::begin();
    let expected = format!("\r\ntraceparent: {}\r\n", context.traceparent());

    let (first, address) = listener().await;
    let seen = tokio::spawn(one(first));
    context
        .clone()
        .scope(client(address, "").oneshot(to("/")))
        .await
        .expect("an answer");
    assert!(seen.await.expect("does not panic").contains(&expected));

    let (second, address) = listener().await;
    let seen = tokio::spawn(one(second));
    let mut request = to("/");
    request.extensions_mut().insert(context);
    client(address, "")
        .oneshot(request)
        .await
        .expect("an answer");
    assert!(seen.await.expect("does not panic").contains(&expected));
}

#[tokio::test]
async fn connections_are_reused() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        for _ in 0..3 {
            head(&mut stream).await;
            answer(&mut stream, "{}").await;
        }
    });
    let client = client(address, "");
    for _ in 0..3 {
        let response = client.clone().oneshot(to("/")).await.expect("an answer");
        let _: serde_json::Value = json(response, 10).await.expect("JSON");
    }
    server.await.expect("one connection for all");
}

/// Waits for a byte on another connection: what the kernel had to report before that has been seen then.
async fn a_turn_of_the_reactor() {
    let (listener, address) = listener().await;
    let mut near = TcpStream::connect(address).await.expect("connects");
    let (mut far, _) = listener.accept().await.expect("a connection");
    far.write_u8(1).await.expect("sent");
    near.read_u8().await.expect("a byte");
}

#[tokio::test]
async fn a_connection_that_went_stale_in_the_pool_costs_nothing() {
    let (listener, address) = listener().await;
    let (closed, is_closed) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        head(&mut stream).await;
        answer(&mut stream, "{}").await;
        drop(stream);
        closed.send(()).expect("somebody waits");
        one(listener).await;
    });
    let client = client(address, "");
    let response = client.clone().oneshot(to("/")).await.expect("an answer");
    let _: serde_json::Value = json(response, 10).await.expect("JSON");
    is_closed.await.expect("closed");
    a_turn_of_the_reactor().await;
    client
        .clone()
        .oneshot(to("/"))
        .await
        .expect("an answer on a fresh connection");
    server.await.expect("does not panic");
}

#[tokio::test]
async fn nobody_there_is_an_error_at_once() {
    let (listener, address) = listener().await;
    drop(listener);
    let error: BoxError = client(address, "")
        .oneshot(to("/"))
        .await
        .map(drop)
        .expect_err("nobody listens");
    assert_eq!(service_kit::problem::from_stack_error(&error).status(), 502);
}

#[tokio::test]
async fn a_server_that_closes_without_an_answer_is_an_error() {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        head(&mut stream).await;
    });
    let post = Request::post("/").body(Body::from("x")).expect("a request");
    assert!(client(address, "").oneshot(post).await.is_err());
}

#[tokio::test]
async fn answers_stream() {
    let (listener, address) = listener().await;
    let (more, go_on) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n[1")
            .await
            .expect("sent");
        let _ = go_on.await;
        stream.write_all(b",2").await.expect("sent");
        let _ = stream.read(&mut [0]).await;
    });
    let mut response = client(address, "")
        .oneshot(to("/"))
        .await
        .expect("the head comes before the body");
    let first = http_body_util::BodyExt::frame(response.body_mut())
        .await
        .expect("a frame")
        .expect("data");
    assert_eq!(first.into_data().expect("data").as_ref(), b"[1");
    more.send(()).expect("still sending");
    let rest = http_body_util::BodyExt::collect(response.into_body())
        .await
        .expect("the rest")
        .to_bytes();
    assert_eq!(rest.as_ref(), b",2");
}

#[tokio::test]
async fn json_answers_are_bounded_and_checked() {
    let get = |text: &'static str| http::Response::new(Body::from(text));
    let numbers: Vec<u8> = json(get("[1,2]"), 5).await.expect("fits");
    assert_eq!(numbers, [1, 2]);
    assert!(matches!(
        json::<Vec<u8>, _>(get("[1,2]"), 4).await,
        Err(JsonError::TooLarge { limit: 4 })
    ));
    assert!(matches!(
        json::<Vec<u8>, _>(get("[1,"), 10).await,
        Err(JsonError::Parse(_))
    ));
    let broken = Body::from_stream(futures_util::stream::iter([
        Ok("[1"),
        Err(std::io::Error::other("cut")),
    ]));
    assert!(matches!(
        json::<Vec<u8>, _>(http::Response::new(broken), 10).await,
        Err(JsonError::Body(_))
    ));
}

#[tokio::test]
async fn many_calls_at_once_share_one_client() {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(async move {
                head(&mut stream).await;
                answer(&mut stream, "7").await;
                let _ = stream.read(&mut [0]).await;
            });
        }
    });
    let client = client(address, "");
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                json::<u8, _>(client.oneshot(to("/")).await.expect("an answer"), 10).await
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("does not panic").expect("JSON"), 7);
    }
}
