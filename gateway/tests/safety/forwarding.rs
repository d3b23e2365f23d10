//! What reaches the upstream of a client's claims about itself, and what of the upstream's connection reaches the client.

use crate::support::{case::Bench, connection::Connection, message::Message, upstream::Reply};

/// What the upstream gets for a request with these fields.
async fn sent(bench: &Bench, fields: &str) -> Message {
    let mut connection = Connection::to(bench.gateway.http).await;
    let request = format!("GET /a HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n");
    connection.send(request.as_bytes()).await;
    let answer = connection.answer(false).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    let mut got = bench.reached().await.unwrap();
    assert_eq!(got.len(), 1, "{got:?}");
    got.remove(0)
}

/// What the client gets for an answer with these fields.
async fn answered(bench: &Bench, fields: &str) -> Message {
    bench.upstream.reply(Reply::bytes(&format!(
        "HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"
    )));
    let mut connection = Connection::to(bench.gateway.http).await;
    connection
        .send(b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        .await;
    connection.answer(false).await.unwrap().unwrap()
}

#[tokio::test]
async fn forged_claims_are_replaced() {
    let bench = Bench::start("").await;
    let got = sent(
        &bench,
        "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n\
         X-Forwarded-User: admin\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\nX-Original-URL: /admin\r\n\
         X-Rewrite-URL: /admin\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded_For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\nX.Forwarded.For: 6.6.6.6\r\n\
         X_Request_ID: 6\r\nX-Request-ID: 6\r\nVia: 1.0 edge\r\n",
    )
    .await;
    assert_eq!(got.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(got.field("x-forwarded-proto"), Some("http"));
    assert_eq!(got.field("x-forwarded-host"), Some("shop.example"));
    let forwarded = got.field("forwarded").unwrap();
    assert_eq!(forwarded, "for=127.0.0.1;host=\"shop.example\";proto=http");
    assert_eq!(got.field("via"), Some("1.0 edge, 1.1 gateway"));
    let id = got.field("x-request-id").unwrap();
    assert!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    for (name, value) in &got.fields {
        let plain = name.to_lowercase().replace(['_', '.'], "-");
        assert!(plain == name.to_lowercase(), "{name}: {value}");
        assert!(
            !value.contains("6.6.6.6") && !value.contains("admin"),
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn each_request_has_an_id_of_its_own_and_its_answer_says_it() {
    let bench = Bench::start("").await;
    let mut ids = Vec::new();
    let mut connection = Connection::to(bench.gateway.http).await;
    for _ in 0..3 {
        connection.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = connection.answer(false).await.unwrap().unwrap();
        ids.push(answer.field("x-request-id").unwrap().to_owned());
    }
    let got = bench.reached().await.unwrap();
    let sent: Vec<_> = got
        .iter()
        .map(|message| message.field("x-request-id").unwrap().to_owned())
        .collect();
    assert_eq!(sent, ids);
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn what_is_for_the_next_hop_goes_no_further() {
    let bench = Bench::start("").await;
    let got = sent(
        &bench,
        "Connection: X-Hop, keep-alive,,\t x-other\r\nConnection: TE\r\nX-Hop: 1\r\nX-Other: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nProxy-Authenticate: Basic\r\nTE: trailers\r\nUpgrade: websocket\r\n\
         HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nX-Kept: 1\r\n",
    )
    .await;
    for name in [
        "x-hop",
        "x-other",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "te",
        "upgrade",
        "http2-settings",
    ] {
        assert_eq!(got.field(name), None, "{name}");
    }
    assert_eq!(got.field("x-kept"), Some("1"));

    let answer = answered(
        &bench,
        "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n\
         X-Kept: 1\r\n",
    )
    .await;
    for name in [
        "x-hop",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "upgrade",
    ] {
        assert_eq!(answer.field(name), None, "{name}");
    }
    assert_eq!(answer.field("x-kept"), Some("1"));
}

#[tokio::test]
async fn connection_takes_away_nothing_that_the_gateway_relies_on() {
    let bench = Bench::start("").await;
    let got = sent(
        &bench,
        "Connection: close, Host, X-Forwarded-For, X-Forwarded-Host, Forwarded, Via, X-Request-ID, Content-Length, Transfer-Encoding\r\n\
         Content-Length: 0\r\n",
    )
    .await;
    for name in [
        "host",
        "x-forwarded-for",
        "x-forwarded-host",
        "forwarded",
        "via",
        "x-request-id",
    ] {
        assert!(got.field(name).is_some(), "{name}: {got:?}");
    }
    let mut connection = Connection::to(bench.gateway.http).await;
    connection
        .send(b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 3\r\n\r\nabc")
        .await;
    assert_eq!(
        connection.answer(false).await.unwrap().unwrap().text(),
        "POST /a 3"
    );
    let mut connection = Connection::to(bench.gateway.http).await;
    connection
        .send(b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        .await;
    assert_eq!(
        connection.answer(false).await.unwrap().unwrap().text(),
        "POST /a 3"
    );
}

#[tokio::test]
async fn a_redirect_does_not_lead_inside_nor_to_another_host() {
    let bench = Bench::start("").await;
    let inside = bench.upstream.address;
    for (location, expected) in [
        (format!("http://{inside}/b?c"), "/b?c".to_owned()),
        (
            format!("http://{inside}//evil.example"),
            "/.//evil.example".to_owned(),
        ),
        (
            "http://shop.example/b".to_owned(),
            "http://shop.example/b".to_owned(),
        ),
    ] {
        let answer = answered(&bench, &format!("Location: {location}\r\n")).await;
        assert_eq!(answer.field("location"), Some(expected.as_str()));
    }
}

/// The lists of those who are believed go on; only the networks named are.
#[tokio::test]
async fn a_trusted_network_is_believed() {
    let claims = "X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=203.0.113.1\r\nX-Request-ID: abc\r\n";
    let bench = Bench::start("[forwarding]\ntrusted = [\"127.0.0.0/8\"]").await;
    let got = sent(&bench, claims).await;
    assert_eq!(got.field("x-forwarded-for"), Some("203.0.113.1, 127.0.0.1"));
    assert_eq!(got.field("x-forwarded-proto"), Some("https"));
    assert_eq!(
        got.field("forwarded"),
        Some("for=203.0.113.1, for=127.0.0.1;host=\"shop.example\";proto=http")
    );
    assert_eq!(got.field("x-request-id"), Some("abc"));

    let settings = "[forwarding]\ntrusted = [\"10.0.0.0/8\"]\nheaders = \"none\"\nrequest_id = false\nvia = \"edge\"";
    let bench = Bench::start(settings).await;
    let got = sent(&bench, claims).await;
    for name in [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
    ] {
        assert_eq!(got.field(name), None, "{name}");
    }
    assert_eq!(got.field("via"), Some("1.1 edge"));
}
