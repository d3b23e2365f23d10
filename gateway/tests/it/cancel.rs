//! A client that goes away takes its upstream call with it.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    proxy::in_front_of,
    support::{
        client::{ask, get, raw, send},
        config,
        gateway::Gateway,
        poll::{soon, until},
        upstream::{Behaviour, Upstream},
    },
};

#[tokio::test]
async fn before_the_answer() {
    let upstream = Upstream::start(Behaviour::Hang).await;
    let gateway = in_front_of(&upstream, "").await;
    let mut client = TcpStream::connect(gateway.http).await.unwrap();
    client
        .write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    until("the request arrives", async || {
        (upstream.arrivals() == 1).then_some(())
    })
    .await;
    drop(client);
    upstream.cancelled(1).await;
}

#[tokio::test]
async fn in_the_middle_of_the_answer() {
    let upstream = Upstream::start(Behaviour::Endless).await;
    let gateway = in_front_of(&upstream, "").await;
    upstream.behave(Behaviour::StallBody);
    let request = Request::get("/a").body(Body::empty()).unwrap();
    let response = soon("the head", send(gateway.http, request)).await.unwrap();
    let mut body = response.into_body();
    soon("the first of the body", body.frame())
        .await
        .unwrap()
        .unwrap();
    drop(body);
    upstream.cancelled(1).await;
}

#[tokio::test]
async fn in_the_middle_of_the_request() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let gateway = in_front_of(&upstream, "").await;
    let mut client = TcpStream::connect(gateway.http).await.unwrap();
    let request = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf a body";
    client.write_all(request).await.unwrap();
    until("the request arrives", async || {
        (upstream.arrivals() == 1).then_some(())
    })
    .await;
    drop(client);
    upstream.cancelled(1).await;
}

/// Neither a client that leaves nor one that sends half a body says anything about the upstream.
#[tokio::test]
async fn clients_that_leave_do_not_open_the_circuit() {
    let upstream = Upstream::start(Behaviour::Hang).await;
    let text = format!(
        "[upstreams.only]\nurl = {:?}\n[upstreams.only.breaker]\nconsecutive_failures = 1\nopen_for = \"30s\"\n\
         [[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n",
        upstream.url()
    );
    let gateway = Gateway::start(&config::file(&text), &[]).await;
    for (number, (request, then)) in [
        ("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", ""),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf",
            " a body",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "rubbish",
        ),
    ]
    .iter()
    .enumerate()
    {
        let mut client = TcpStream::connect(gateway.http).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        until("the request arrives", async || {
            (upstream.arrivals() > number).then_some(())
        })
        .await;
        client.write_all(then.as_bytes()).await.unwrap();
        drop(client);
        upstream.cancelled(number + 1).await;
    }
    let circuit = until("the gateway has noticed all of it", async || {
        let circuit = get(gateway.http, "/circuit-status").await.json()["circuits"][0].clone();
        let ended = circuit["ignored"].as_u64()?
            + circuit["abandoned"].as_u64()?
            + circuit["failed"].as_u64()?;
        (ended == 3).then_some(circuit)
    })
    .await;
    assert_eq!(circuit["state"], "CLOSED", "{circuit}");
    upstream.behave(Behaviour::Json("{}"));
    assert_eq!(get(gateway.http, "/a").await.status, 200);
}

#[tokio::test]
async fn an_upload_that_stops_opens_no_circuit_but_an_upstream_that_hangs_does() {
    let upstream = Upstream::start(Behaviour::Hang).await;
    let text = format!(
        "[upstreams.only]\nurl = {:?}\ntimeout = \"200ms\"\n[upstreams.only.breaker]\nconsecutive_failures = 1\n\
         [[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n",
        upstream.url()
    );
    let gateway = Gateway::start(&config::file(&text), &[]).await;
    let state = async || {
        let status = get(gateway.http, "/circuit-status").await.json();
        status["circuits"][0]["state"].as_str().unwrap().to_owned()
    };
    for _ in 0..2 {
        let request = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{";
        let answer = raw(gateway.http, request).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    assert_eq!(state().await, "CLOSED");
    let whole = Request::post("/a").body(Body::from("{}")).unwrap();
    ask(gateway.http, whole).await.problem(504);
    assert_eq!(state().await, "OPEN");
}
