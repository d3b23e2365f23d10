//! A connection becomes something else only when both sides have said so.

use crate::support::{
    case::{Bench, Case, Then},
    connection::Connection,
    upstream::Reply,
};

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test]
async fn unasked_switches_are_not_passed_on() {
    let bench = Bench::start("").await;
    let ask = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases = [
        Case::new("unasked", ask).reply(Reply::last(SWITCH)).answered(&[502]).reaches("GET /a"),
        Case::new("unasked, and the connection stays", ask)
            .reply(Reply::bytes(SWITCH))
            .answered(&[502])
            .reaches("GET /a"),
        Case::new("named in Upgrade but not in Connection", "GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")
            .reply(Reply::last(SWITCH))
            .answered(&[502])
            .reaches("GET /a"),
        Case::new(
            "an offer of h2c is none",
            "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        )
        .passes("GET /a")
        .then(Then::Kept),
        Case::new(
            "HTTP/1.0 cannot",
            "GET /a HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .passes("GET /a"),
        Case::new("a 101 with the end of a head missing", ask)
            .reply(Reply::last("HTTP/1.1 101 Switching Protocols\r\n"))
            .answered(&[502])
            .reaches("GET /a"),
    ];
    bench.run(cases).await;
}

#[tokio::test]
async fn an_upgrade_that_the_upstream_does_not_take_is_an_ordinary_answer() {
    let bench = Bench::start("").await;
    bench
        .run([
            Case::new("200", ASK).passes("GET /ws"),
            Case::new("426", ASK)
                .reply(Reply::bytes("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno"))
                .answered(&[426])
                .reaches("GET /ws")
,
            Case::new(
                "to another protocol",
                ASK,
            )
            .reply(Reply::last(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
            ))
            .answered(&[502])
            .reaches("GET /ws")
,
        ])
        .await;
}

/// Nothing of what the client sends behind its request reaches the upstream before the upstream's 101.
async fn tunnels(bench: &Bench) -> Result<(), String> {
    bench
        .upstream
        .reply(Reply::Tunnel(SWITCH.as_bytes().to_vec()));
    let mut connection = Connection::to(bench.gateway.http).await;
    connection.send(ASK.as_bytes()).await;
    let answer = connection.answer(false).await?.ok_or("no answer")?;
    if answer.status() != 101 {
        return Err(format!("{answer:?}"));
    }
    if answer.field("upgrade") != Some("websocket") {
        return Err(format!("without its protocol: {answer:?}"));
    }
    for piece in ["\x01first", "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"] {
        connection.send(piece.as_bytes()).await;
        let echoed = connection.bytes(piece.len()).await?;
        if echoed != piece.as_bytes() {
            return Err(format!("{piece:?} came back as {echoed:?}"));
        }
        connection.unread.clear();
    }
    let got = bench.reached().await?;
    let asked: Vec<_> = got.iter().map(|message| message.asked()).collect();
    if asked != ["GET /ws"] {
        return Err(format!("the upstream got {asked:?}"));
    }
    let (upgrade, hop) = (got[0].field("upgrade"), got[0].field("connection"));
    if upgrade != Some("websocket") || !hop.is_some_and(|hop| hop.eq_ignore_ascii_case("upgrade")) {
        return Err(format!("asked with {upgrade:?} and {hop:?}"));
    }
    Ok(())
}

#[tokio::test]
async fn a_switch_that_both_sides_want_is_a_tunnel() {
    let bench = Bench::start("").await;
    tunnels(&bench).await.unwrap();
}

/// The bytes behind the request are the tunnel's first, or nobody's: never another request.
#[tokio::test]
async fn bytes_behind_an_upgrade_are_no_request() {
    let bench = Bench::start("").await;
    let early = format!("{ASK}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    bench
        .upstream
        .reply(Reply::Tunnel(SWITCH.as_bytes().to_vec()));
    let mut connection = Connection::to(bench.gateway.http).await;
    connection.send(early.as_bytes()).await;
    let answer = connection.answer(false).await.unwrap().unwrap();
    if answer.status() == 101 {
        let got = bench.reached().await.unwrap();
        assert_eq!(got.len(), 1, "{got:?}");
    } else {
        assert!(answer.status() >= 400, "{answer:?}");
    }
}
