//! gRPC and its like: HTTP/2 on both sides, with trailers, streaming both ways.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::net::TcpStream;

use super::gateway;
use crate::support::{
    client::get,
    h2_upstream::H2Upstream,
    poll::{soon, until},
};

async fn connect(to: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(to).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

fn call(to: SocketAddr, path: &str) -> Request<()> {
    Request::post(format!("http://{to}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

#[tokio::test]
async fn messages_go_both_ways_as_they_come_and_trailers_after_them() {
    let upstream = H2Upstream::start(None, 100).await;
    let keys = format!(
        "url = \"http://{}\"\nprotocol = \"http2\"",
        upstream.address
    );
    let gateway = gateway("", &keys).await;
    let mut client = connect(gateway.http).await;
    let (response, mut upload) = client
        .send_request(call(gateway.http, "/echo"), false)
        .unwrap();
    let exchange = async {
        // The head comes before anything was uploaded.
        let mut answer = response.await.unwrap().into_body();
        for message in ["one", "two", "three"] {
            upload.send_data(message.into(), false).unwrap();
            let echoed = answer.data().await.unwrap().unwrap();
            answer
                .flow_control()
                .release_capacity(echoed.len())
                .unwrap();
            assert_eq!(&echoed[..], message.as_bytes());
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        trailers.insert("x-sum", "11".parse().unwrap());
        upload.send_trailers(trailers.clone()).unwrap();
        assert!(answer.data().await.is_none());
        assert_eq!(answer.trailers().await.unwrap().unwrap(), trailers);
    };
    soon("the exchange", exchange).await;
    assert_eq!(upstream.seen()[0].headers["te"], "trailers");
}

#[tokio::test]
async fn a_large_upload_and_its_echo_are_not_held_up_by_windows() {
    let upstream = H2Upstream::start(None, 100).await;
    let keys = format!(
        "url = \"http://{}\"\nprotocol = \"http2\"",
        upstream.address
    );
    let gateway = gateway("max_body = \"100MiB\"", &keys).await;
    let body = vec![b'x'; 3 << 20];
    let request = Request::post("/echo").body(body.clone().into()).unwrap();
    let answer = crate::support::client::ask(gateway.http, request).await;
    assert!(answer.body == body);
}

#[tokio::test]
async fn a_stream_that_the_client_resets_is_reset_at_the_upstream() {
    let upstream = H2Upstream::start(None, 100).await;
    let keys = format!(
        "url = \"http://{}\"\nprotocol = \"http2\"",
        upstream.address
    );
    let gateway = gateway("", &keys).await;
    let mut client = connect(gateway.http).await;
    let (response, mut upload) = client
        .send_request(call(gateway.http, "/hang"), false)
        .unwrap();
    until("the request has arrived", async || {
        (!upstream.seen().is_empty()).then_some(())
    })
    .await;
    upload.send_reset(h2::Reason::CANCEL);
    drop(response);
    upstream.resets(1).await;
}

#[tokio::test]
async fn a_failure_in_the_trailers_counts_against_the_breaker() {
    let upstream = H2Upstream::start(None, 100).await;
    let keys = format!(
        "url = \"http://{}\"\nprotocol = \"http2\"\nbreaker = {{ consecutive_failures = 2, open_for = \"1h\" }}",
        upstream.address
    );
    let gateway = gateway("", &keys).await;
    let mut client = connect(gateway.http).await;
    for _ in 0..2 {
        let (response, _) = client
            .send_request(call(gateway.http, "/shop.Cart/Fails"), true)
            .unwrap();
        let answer = soon("the head", response).await.unwrap();
        assert_eq!(answer.status(), 200);
        let trailers = soon("the trailers", answer.into_body().trailers()).await;
        let trailers = trailers.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "14");
        assert_eq!(trailers["grpc-message"], "not today");
    }
    until("the circuit is open", async || {
        (get(gateway.http, "/a").await.status == 503).then_some(())
    })
    .await;
    assert_eq!(upstream.seen().len(), 2);
}
