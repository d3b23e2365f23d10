//! Header fields: their syntax, and what is made of odd ones.

use crate::support::case::{Bench, Case, Then};

fn with(fields: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /a HTTP/1.1\r\nHost: a\r\n", fields.as_ref(), b"\r\n"].concat()
}

#[tokio::test]
async fn syntax() {
    let bench = Bench::start("").await;
    let cases = [
        Case::new("plain", with("X: y\r\n"))
            .passes("GET /a")
            .then(Then::Kept),
        Case::new("empty value", with("X:\r\n")).passes("GET /a"),
        Case::new("spaces around", with("X: \t y \t\r\n")).passes("GET /a"),
        Case::new("high bytes", with(b"X: caf\xc3\xa9 \xff\r\n")).passes("GET /a"),
        Case::new("space before the colon", with("X : y\r\n")).refused(&[400]),
        Case::new("tab before the colon", with("X\t: y\r\n")).refused(&[400]),
        Case::new("space in a name", with("X y: z\r\n")).refused(&[400]),
        Case::new("no colon", with("X\r\n")).refused(&[400]),
        Case::new("no name", with(": y\r\n")).refused(&[400]),
        Case::new("a name in quotes", with("\"X\": y\r\n")).refused(&[400]),
        Case::new("a slash in a name", with("X/y: z\r\n")).refused(&[400]),
        Case::new("a high byte in a name", with(b"X\xff: y\r\n")).refused(&[400]),
        Case::new("a NUL in a name", with(b"X\0: y\r\n")).refused(&[400]),
        Case::new("a NUL in a value", with(b"X: y\0z\r\n")).refused(&[400]),
        Case::new("a control character in a value", with(b"X: y\x01z\r\n")).refused(&[400]),
        Case::new("DEL in a value", with(b"X: y\x7fz\r\n")).refused(&[400]),
        Case::new("a lone CR in a value", with(b"X: y\rz\r\n")).refused(&[400]),
        Case::new(
            "a lone CR hides a field",
            with(b"X: y\rTransfer-Encoding: chunked\r\n"),
        )
        .refused(&[400]),
        Case::new("CR CR LF", with(b"X: y\r\r\n")).refused(&[400]),
        Case::new("folded by a space", with("X: y\r\n z\r\n")).refused(&[400]),
        Case::new("folded by a tab", with("X: y\r\n\tz\r\n")).refused(&[400]),
        Case::new("folded length", with("Content-Length:\r\n 3\r\n")).refused(&[400]),
        Case::new(
            "folded encoding",
            with("Transfer-Encoding:\r\n chunked\r\n"),
        )
        .refused(&[400]),
        Case::new(
            "space before the first field",
            "GET /a HTTP/1.1\r\n Host: a\r\n\r\n",
        )
        .refused(&[400]),
        Case::new(
            "tab before the first field",
            "GET /a HTTP/1.1\r\n\tX: y\r\nHost: a\r\n\r\n",
        )
        .refused(&[400]),
        // Lines that end in LF alone are lines (RFC 9112 section 2.2); what arrives has CR LF, which the upstream checks.
        Case::new("lone LF", "GET /a HTTP/1.1\nHost: a\nX: y\n\n").passes("GET /a"),
        Case::new("lone LF in a value is its end", with("X: y\nZ: z\r\n")).passes("GET /a"),
    ];
    bench.run(cases).await;
}

#[tokio::test]
async fn expectations() {
    let bench = Bench::start("").await;
    let post = |expect: &str, body: &str| {
        format!(
            "POST /a HTTP/1.1\r\nHost: a\r\nExpect: {expect}\r\nContent-Length: 3\r\n\r\n{body}"
        )
    };
    let cases = [
        Case::new("continue", post("100-continue", "abc"))
            .answered(&[100, 200])
            .reaches("POST /a"),
        Case::new("in capitals", post("100-Continue", "abc"))
            .answered(&[100, 200])
            .reaches("POST /a"),
        Case::new("unknown", post("200-ok", "")).answered(&[417]),
        Case::new("two", post("100-continue, x", "")).answered(&[417]),
        Case::new("empty", post("", "")).answered(&[417]),
        Case::new(
            "without a body",
            "GET /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        )
        .answered(&[100, 200])
        .reaches("GET /a"),
        Case::new(
            "of HTTP/1.0 is ignored",
            "POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        )
        .passes("POST /a"),
        Case::new(
            "refused before the body",
            "POST /a/../b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        )
        .answered(&[400]),
    ];
    bench.run(cases).await;
}

/// The client sends its body only once it has been asked to.
#[tokio::test]
async fn a_client_that_waits_for_100_gets_it_and_its_body_arrives() {
    let bench = Bench::start("").await;
    let mut connection = crate::support::connection::Connection::to(bench.gateway.http).await;
    connection
        .send(b"PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    let first = connection.answer(false).await.unwrap().unwrap();
    assert_eq!(first.status(), 100);
    connection.send(b"hello").await;
    let answer = connection.answer(false).await.unwrap().unwrap();
    assert_eq!(answer.text(), "PUT /a 5");
    let got = bench.reached().await.unwrap();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].body, b"hello");
}
