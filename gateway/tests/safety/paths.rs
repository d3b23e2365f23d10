//! Paths by which a request could slip past a route: refused, because the gateway and the upstream might read them differently.

use crate::support::case::{Bench, Case, Then};

#[tokio::test]
async fn a_path_with_two_readings_is_refused_and_others_arrive_as_they_were_sent() {
    let bench = Bench::start("").await;
    let refused = [
        "/..",
        "/.",
        "/a/../b",
        "/a/..",
        "/a/./b",
        "/a/.",
        "/../a",
        "/a/%2e%2e/b",
        "/a/%2E%2E/b",
        "/a/.%2e/b",
        "/a/%2e./b",
        "/a/%2e",
        "/a/..;/b",
        "/a/..;x=1/b",
        "/a/.;/b",
        "/a/..%3b/b",
        "/a/%2e%2e;/b",
        "//",
        "//a",
        "/a//b",
        "/a//",
        "///",
        "/a%2fb",
        "/a%2Fb",
        "/a%2f..%2fb",
        "/%2e%2e%2fa",
        "/a%5cb",
        "/a%5Cb",
        "/a%5c..%5cb",
        "/a\\b",
        "/a\\..\\b",
        "/\\a",
        "/a%00",
        "/a%00.png",
        "/a%0ab",
        "/a%0db",
        "/a%0d%0aX-Injected:y",
        "/a%09b",
        "/a%1fb",
        "/a%7fb",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%u002e",
        "/a%+1",
        "/a%252e%252e/b",
        "/a%252fb",
        "/%2561",
        "/a%25%32%66b",
        "/a%c0%afb",
        "/a%c0%ae%c0%ae/b",
        "/a%e0%80%afb",
        "/a%ff",
        "/a%fe%ff",
        "/a%ed%a0%80",
        "/a%c2%85b",
    ];
    let passed = [
        "/",
        "/a",
        "/a/",
        "/a/b.c",
        "/...",
        "/a/..b",
        "/a/b..",
        "/.well-known/a",
        "/%61",
        "/a%20b",
        "/caf%C3%A9",
        "/a;v=1/b",
        "/a:b@c!$&'()*+,=~",
        "/100%25",
        "/a?b=../../c",
        "/a?b=//",
        "/a?b=%2e%2e%2f",
        "/a?b=%00",
        "/a?",
        "/a?%zz",
        "/a?b=http://c/d",
    ];
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let refused = refused.map(|path| Case::new(path, ask(path)).answered(&[400]).then(Then::Any));
    let passed = passed.map(|path| {
        Case::new(path, ask(path))
            .passes(&format!("GET {path}"))
            .then(Then::Kept)
    });
    bench.run(refused.into_iter().chain(passed)).await;
}

/// Bytes that no URI has, but that come all the same.
#[tokio::test]
async fn bytes_that_must_be_encoded() {
    let bench = Bench::start("").await;
    let mut cases = Vec::new();
    for byte in 0..=255_u8 {
        let is_break = matches!(byte, b'\r' | b'\n' | b' ');
        let mut request = b"GET /a".to_vec();
        request.push(byte);
        request.extend_from_slice(b"b HTTP/1.1\r\nHost: a\r\n\r\n");
        let name = format!("byte {byte:#04x}");
        if is_break || !(0x20..0x7f).contains(&byte) || byte == b'\\' {
            cases.push(Case::new(&name, request).answered(&[400]));
        } else if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte) {
            let target = format!("GET /a{}b", char::from(byte));
            cases.push(Case::new(&name, request).passes(&target));
        }
    }
    bench.run(cases).await;
}
