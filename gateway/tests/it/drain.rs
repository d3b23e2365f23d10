//! A gateway that is told to stop first finishes what it has begun.

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use http::Request;
use http_body_util::BodyExt;
use std::convert::Infallible;
use tokio::{net::TcpStream, sync::mpsc};

use crate::{
    proxy::in_front_of,
    support::{
        client::{get, send},
        poll::{soon, until},
        upstream::{Behaviour, Upstream},
    },
};

#[tokio::test]
async fn a_proxied_request_in_flight_is_finished() {
    let upstream = Upstream::start(Behaviour::Echo).await;
    let mut gateway = in_front_of(&upstream, "").await;
    assert_eq!(get(gateway.ops, "/readyz").await.status, 200);
    let (chunks, body) = mpsc::unbounded_channel::<Result<Bytes, Infallible>>();
    let body =
        futures_util::stream::unfold(body, async |mut body| Some((body.recv().await?, body)));
    let request = Request::post("/echo")
        .body(Body::from_stream(body.boxed()))
        .unwrap();
    chunks.send(Ok("before ".into())).unwrap();
    let response = soon("the head", send(gateway.http, request)).await.unwrap();

    gateway.terminate().await;
    until("no new connection is taken", async || {
        TcpStream::connect(gateway.http)
            .await
            .is_err()
            .then_some(())
    })
    .await;

    chunks.send(Ok("and after".into())).unwrap();
    drop(chunks);
    let body = soon("the rest of the answer", response.into_body().collect())
        .await
        .unwrap()
        .to_bytes();
    assert_eq!(&body[..], b"before and after");
    assert_eq!(gateway.ended().await, Some(0));
}

#[tokio::test]
async fn an_idle_gateway_stops_at_once_and_well() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let mut gateway = in_front_of(&upstream, "").await;
    assert_eq!(get(gateway.http, "/a").await.status, 200);
    gateway.terminate().await;
    assert_eq!(gateway.ended().await, Some(0));
}
