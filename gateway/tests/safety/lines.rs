//! Request lines: methods, targets, versions, and what is no HTTP/1.1 at all.

use crate::support::{
    case::{Bench, Case, Then},
    upstream::Reply,
};

fn line(line: &str) -> String {
    format!("{line}\r\nHost: a\r\n\r\n")
}

#[tokio::test]
async fn methods() {
    let bench = Bench::start("").await;
    let plain = [
        "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH", "foo",
    ];
    let mut cases: Vec<Case> = plain
        .iter()
        .map(|method| {
            Case::new(method, line(&format!("{method} /a HTTP/1.1")))
                .passes(&format!("{method} /a"))
                .then(Then::Kept)
        })
        .collect();
    cases.push(
        Case::new("HEAD", line("HEAD /a HTTP/1.1"))
            .of_head()
            .passes("HEAD /a")
            .then(Then::Any),
    );
    for method in ["get", "Get", "pOST", "delete", "connect"] {
        cases.push(
            Case::new(method, line(&format!("{method} /a HTTP/1.1")))
                .answered(&[400])
                .contains("upper case"),
        );
    }
    cases.extend([
        Case::new("TRACE", line("TRACE /a HTTP/1.1")).answered(&[501, 405]),
        Case::new("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n").answered(&[501, 405]),
        Case::new("CONNECT to a path", line("CONNECT /a HTTP/1.1")).answered(&[400, 501, 405]),
        // What follows a refused CONNECT is the tunnel's first bytes, and no request.
        Case::new(
            "CONNECT and more",
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .refused(&[501, 405]),
        Case::new("no token", line("G@T /a HTTP/1.1")).refused(&[400]),
        Case::new("a method in brackets", line("(GET) /a HTTP/1.1")).refused(&[400]),
        Case::new("no method", line("/a HTTP/1.1")).refused(&[400]),
        Case::new("a NUL in the method", "GE\0T /a HTTP/1.1\r\nHost: a\r\n\r\n").refused(&[400]),
    ]);
    bench.run(cases).await;
}

#[tokio::test]
async fn versions_and_other_protocols() {
    let bench = Bench::start("").await;
    let cases = [
        Case::new("HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n")
            .passes("GET /a")
            .then(Then::Closed),
        Case::new("HTTP/0.9", "GET /a\r\n\r\n").refused(&[400]),
        Case::new("HTTP/1.2", line("GET /a HTTP/1.2")).refused(&[400, 505]),
        Case::new("HTTP/2.0 in a line", line("GET /a HTTP/2.0")).refused(&[400, 505]),
        Case::new("HTTP/9.9", line("GET /a HTTP/9.9")).refused(&[400, 505]),
        Case::new("HTTP/1.10", line("GET /a HTTP/1.10")).refused(&[400, 505]),
        Case::new("HTTP/01.1", line("GET /a HTTP/01.1")).refused(&[400, 505]),
        Case::new("http/1.1", line("GET /a http/1.1")).refused(&[400, 505]),
        Case::new("HTTP / 1.1", line("GET /a HTTP / 1.1")).refused(&[400]),
        Case::new("no version number", line("GET /a HTTP/")).refused(&[400]),
        Case::new("four words", line("GET /a b HTTP/1.1")).refused(&[400]),
        Case::new("a space at the end", line("GET /a HTTP/1.1 ")).refused(&[400]),
        Case::new("a tab between", line("GET\t/a HTTP/1.1")).refused(&[400]),
        // A ClientHello's first bytes.
        Case::new(
            "TLS on a plain port",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        )
        .refused(&[400]),
        Case::new("binary", b"\x00\x01\x02\xff\xfe\r\n\r\n").refused(&[400]),
        Case::new(
            "the PROXY protocol",
            "PROXY TCP4 6.6.6.6 1.1.1.1 1 2\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .refused(&[400]),
        // Robust servers skip an empty line before a request (RFC 9112 section 2.2).
        Case::new(
            "an empty line before",
            format!("\r\n{}", line("GET /a HTTP/1.1")),
        )
        .passes("GET /a"),
    ];
    bench.run(cases).await;
}

/// HTTP/2's preface is either HTTP/2 or refused, and never a request of HTTP/1.1.
#[tokio::test]
async fn a_preface_of_http_2_is_no_request_in_http_1() {
    let bench = Bench::start("").await;
    bench
        .run([
            Case::new("PRI as HTTP/1.1", line("PRI * HTTP/1.1")).answered(&[400]),
            Case::new("PRI with a host", "PRI * HTTP/2.0\r\nHost: a\r\n\r\n"),
        ])
        .await;
}

#[tokio::test]
async fn targets() {
    let bench = Bench::start("").await;
    let host = |target: &str| line(&format!("GET {target} HTTP/1.1"));
    let cases = [
        Case::new("origin form", host("/a?b=c")).passes("GET /a?b=c"),
        Case::new("absolute form, same host", host("http://a/b?c")).passes("GET /b?c"),
        Case::new("absolute form, no path", host("http://a")).passes("GET /"),
        Case::new("absolute form in capitals", host("HTTP://A/b")).passes("GET /b"),
        Case::new("absolute form, other host", host("http://b/c")).answered(&[400]),
        Case::new("absolute form, other port", host("http://a:81/c")).answered(&[400]),
        Case::new("absolute form, user", host("http://u@a/c")).answered(&[400]),
        Case::new("absolute form, https", host("https://a/c")).answered(&[400]),
        Case::new("absolute form, ftp", host("ftp://a/c")).answered(&[400]),
        Case::new("absolute form, file", host("file:///etc/passwd")).answered(&[400]),
        Case::new("absolute form, no Host", "GET http://a/c HTTP/1.1\r\n\r\n").answered(&[400]),
        Case::new("authority form", host("a:80")).answered(&[400]),
        Case::new("asterisk", line("OPTIONS * HTTP/1.1")).answered(&[400]),
        Case::new("asterisk of GET", host("*")).answered(&[400]),
        Case::new("asterisk and path", host("*/a")).answered(&[400]),
        Case::new("no slash", host("a/b")).answered(&[400]),
        Case::new("only a query", host("?a")).answered(&[400]),
        // The gateway's view and the upstream's are the same: the fragment is gone for both.
        Case::new("a fragment", host("/a#b"))
            .passes("GET /a")
            .reply(Reply::Plain),
        Case::new("a NUL", b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n").answered(&[400]),
        Case::new(
            "a control character",
            b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .answered(&[400]),
        Case::new("DEL", b"GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n").answered(&[400]),
        Case::new("invalid UTF-8", b"GET /a\xffb HTTP/1.1\r\nHost: a\r\n\r\n").answered(&[400]),
        Case::new(
            "overlong UTF-8",
            b"GET /a\xc0\xafb HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .answered(&[400]),
        Case::new("a lone CR", b"GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n").refused(&[400]),
        Case::new(
            "a line break",
            b"GET /a\r\nX: y HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .refused(&[400]),
    ];
    bench.run(cases).await;
}
