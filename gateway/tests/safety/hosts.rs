//! `Host`: missing, doubled, malformed.

use crate::support::case::{Bench, Case, Then};

#[tokio::test]
async fn hosts() {
    let bench = Bench::start("").await;
    let with = |hosts: &str| format!("GET /a HTTP/1.1\r\n{hosts}\r\n");
    let good = [
        "a",
        "A.example",
        "a:80",
        "127.0.0.1:8080",
        "[::1]:8080",
        "[2001:db8::1]",
        "a.",
        "xn--caf-dma.example",
    ];
    let good = good.map(|host| {
        Case::new(host, with(&format!("Host: {host}\r\n")))
            .passes("GET /a")
            .then(Then::Kept)
    });
    let bad = [
        "", " ", "a, b", "a b", "a\tb", "u@a", "u:p@a", "a/b", "a?b", "a#b", "a\\b", "a\"b", "a<b",
        "a%2eb", ":80", "a:b", "a:-1", "a:+80", "a:65536", "a:80:80", "[::1", "::1", "[]", "[a]",
        "a;b", "a'b", "http://a", "\u{e9}", "*",
    ];
    let bad = bad.map(|host| {
        Case::new(
            &format!("host {host:?}"),
            with(&format!("Host: {host}\r\n")),
        )
        .answered(&[400])
    });
    let others = [
        Case::new("missing", with(""))
            .answered(&[400])
            .contains("Host header is missing"),
        Case::new("doubled", with("Host: a\r\nHost: a\r\n")).answered(&[400]),
        Case::new("two", with("Host: a\r\nhost: b\r\n")).answered(&[400]),
        Case::new("two around another", with("Host: a\r\nX: y\r\nHOST: b\r\n")).answered(&[400]),
        Case::new("a NUL", with("Host: a\0b\r\n")).refused(&[400]),
        Case::new("space before its colon", with("Host : a\r\n")).refused(&[400]),
        Case::new("folded", with("Host:\r\n a\r\n")).refused(&[400]),
        Case::new("HTTP/1.0 without", "GET /a HTTP/1.0\r\n\r\n").passes("GET /a"),
        Case::new(
            "HTTP/1.0 with two",
            "GET /a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        )
        .answered(&[400]),
        Case::new(
            "HTTP/1.0 with a bad one",
            "GET /a HTTP/1.0\r\nHost: u@a\r\n\r\n",
        )
        .answered(&[400]),
        Case::new("X-Forwarded-Host is none", with("X-Forwarded-Host: a\r\n")).answered(&[400]),
    ];
    bench.run(good.into_iter().chain(bad).chain(others)).await;
}
