//! What clients meet.

use axum::body::Body;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use super::{gateway, listener};
use crate::support::{
    config,
    gateway::command,
    pki::{Authority, shown},
    poll::{soon, until},
    upstream::{Behaviour, Upstream},
};

type Http1 = http1::SendRequest<Empty<&'static [u8]>>;

async fn http1(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Http1 {
    let (sender, connection) = http1::handshake(TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn get(sender: &mut Http1) -> StatusCode {
    sender.ready().await.unwrap();
    let request = Request::get("/a")
        .header("host", "shop.example")
        .body(Empty::new())
        .unwrap();
    let response = soon("an answer", sender.send_request(request))
        .await
        .unwrap();
    let status = response.status();
    response.into_body().collect().await.unwrap();
    status
}

async fn get_http2(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<StatusCode, hyper::Error> {
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await?;
    tokio::spawn(connection);
    let request = Request::get("https://shop.example/a")
        .body(Body::empty())
        .unwrap();
    let response = soon("an answer", sender.send_request(request)).await?;
    assert_eq!(response.version(), Version::HTTP_2);
    Ok(response.status())
}

#[tokio::test]
async fn clients_choose_the_protocol_and_upstreams_learn_of_tls() {
    let authority = Authority::new();
    let files = authority.sign(&["shop.example"]).files();
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let url = format!("url = {:?}", upstream.url());
    let gateway = gateway(&listener(&files), &url).await;
    let address = gateway.listener("secure");
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let stream = authority.connect(address, "shop.example", offered).await;
        let protocol = stream.get_ref().1.alpn_protocol();
        assert_eq!(protocol, agreed.map(str::as_bytes));
        let status = if agreed == Some("h2") {
            get_http2(stream).await.unwrap()
        } else {
            get(&mut http1(stream).await).await
        };
        assert_eq!(status, 200);
        let seen = upstream.seen().pop().unwrap().headers;
        assert_eq!(seen["x-forwarded-proto"], "https");
        assert_eq!(seen["x-forwarded-host"], "shop.example");
        assert!(seen["forwarded"].to_str().unwrap().ends_with("proto=https"));
    }
    let nothing = authority
        .try_connect(address, "shop.example", &["spdy/1"])
        .await;
    assert!(nothing.is_err());
}

#[tokio::test]
async fn without_tls_http2_needs_to_be_allowed() {
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let url = format!("url = {:?}", upstream.url());
    let listeners = "[[listener]]\nname = \"both\"\naddress = \"127.0.0.1:0\"\n\
                     [[listener]]\nname = \"one\"\naddress = \"127.0.0.1:0\"\nhttp2 = false\n";
    let gateway = gateway(listeners, &url).await;
    for (name, http2_works) in [("both", true), ("one", false)] {
        let connect = async || TcpStream::connect(gateway.listener(name)).await.unwrap();
        assert_eq!(get(&mut http1(connect().await).await).await, 200);
        assert_eq!(
            get_http2(connect().await).await.is_ok(),
            http2_works,
            "{name}"
        );
    }
    let seen = upstream.seen().pop().unwrap().headers;
    assert_eq!(seen["x-forwarded-proto"], "http");
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let authority = Authority::new();
    let name = "shop.example";
    let files = authority.sign(&[name]).files();
    let upstream = Upstream::start(Behaviour::Json("{}")).await;
    let url = format!("url = {:?}", upstream.url());
    let gateway = gateway(&listener(&files), &url).await;
    let address = gateway.listener("secure");

    let stream = authority.connect(address, name, &[]).await;
    let first = shown(&stream);
    let mut staying = http1(stream).await;
    assert_eq!(get(&mut staying).await, 200);

    let write = |signed: &crate::support::pki::Signed| {
        std::fs::write(&files.0, &signed.certificate).unwrap();
        std::fs::write(&files.1, &signed.key).unwrap();
    };
    write(&authority.sign(&[name]));
    let second = until("the new certificate is shown", async || {
        let now = shown(&authority.connect(address, name, &[]).await);
        (now != first).then_some(now)
    })
    .await;
    assert_eq!(get(&mut staying).await, 200);

    std::fs::write(&files.0, "no certificate").unwrap();
    std::fs::write(&files.1, "no key").unwrap();
    // What was broken has been seen by the time that what comes after it is, or will never be: either way it is not shown.
    let good = authority.sign(&[name]);
    for _ in 0..20 {
        let now = shown(&authority.connect(address, name, &[]).await);
        assert_eq!(now, second);
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    write(&good);
    until("the third certificate is shown", async || {
        let now = shown(&authority.connect(address, name, &[]).await);
        (now != second).then_some(())
    })
    .await;
    assert_eq!(get(&mut staying).await, 200);
}

#[tokio::test]
async fn files_that_are_of_no_use_are_named_at_start() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&["shop.example"]).files();
    let (_, other_key) = authority.sign(&["shop.example"]).files();
    let no_pem = crate::support::pki::file("no PEM");
    for (files, named, at_fault) in [
        ((&no_pem, &key), "tls.certificate", &no_pem),
        ((&certificate, &no_pem), "tls.key", &no_pem),
        ((&certificate, &other_key), "tls.key", &other_key),
    ] {
        let text = format!(
            "listen = \"127.0.0.1:0\"\nops.listen = \"127.0.0.1:0\"\n[upstreams.a]\nurl = \"http://127.0.0.1:1\"\n\
             [[route]]\npath = \"/a\"\nupstream = \"a\"\n{}",
            listener(&files)
        );
        let mut command: Command = command();
        command.arg("--config").arg(config::file(&text));
        let output = soon("the gateway to give up", command.output())
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in ["secure", named, &at_fault.display().to_string()] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
    }
}

#[tokio::test]
async fn a_handshake_that_stalls_is_given_up() {
    let files = Authority::new().sign(&["shop.example"]).files();
    let root = format!("header_timeout = \"300ms\"\n{}", listener(&files));
    let gateway = gateway(&root, "url = \"http://127.0.0.1:1\"").await;
    let mut stream = TcpStream::connect(gateway.listener("secure"))
        .await
        .unwrap();
    // The beginning of a record that never comes.
    stream.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
    let mut said = Vec::new();
    let _ = soon("the end", stream.read_to_end(&mut said)).await;
}
