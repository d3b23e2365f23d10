//! HTTP/2 requests that break the rules: no field, path or body may come out in HTTP/1.1 as more than it was.

use crate::support::{
    case::Bench,
    h2::{CONTINUATION, DATA, END_HEADERS, END_STREAM, End, HEADERS, Http2, block, frame},
    message::Message,
};

/// A row: a name, what is sent on stream 1, how the stream must end, and which requests arrive.
struct Case {
    name: &'static str,
    frames: Vec<u8>,
    end: Wanted,
    reached: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Wanted {
    Answered(&'static [u16]),
    /// A stream error, the end of the connection, or one of these statuses.
    Malformed(&'static [u16]),
}

impl Wanted {
    fn is(self, end: &End) -> bool {
        match (self, end) {
            (Self::Answered(statuses) | Self::Malformed(statuses), End::Answered(status)) => {
                statuses.contains(status)
            }
            (Self::Malformed(_), End::Reset(_) | End::Connection) => true,
            (Self::Answered(_), _) => false,
        }
    }
}

const USUAL: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "a"),
    (":path", "/a"),
];

fn request(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))
}

/// The usual fields and more.
fn with(more: &[(&str, &str)]) -> Vec<u8> {
    request(&[&USUAL[..], more].concat())
}

/// The usual fields with other values.
fn but(changed: &[(&str, &str)]) -> Vec<u8> {
    let fields: Vec<_> = USUAL
        .iter()
        .map(|(name, value)| {
            let other = changed.iter().find(|(other, _)| other == name);
            (*name, other.map_or(*value, |(_, value)| value))
        })
        .collect();
    request(&fields)
}

/// The usual fields without one, and more.
fn without(name: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut fields: Vec<_> = USUAL
        .into_iter()
        .filter(|(field, _)| *field != name)
        .collect();
    fields.extend_from_slice(more);
    request(&fields)
}

/// A request with a body in these pieces, and then trailers.
fn post(more: &[(&str, &str)], pieces: &[&str], trailers: &[(&str, &str)]) -> Vec<u8> {
    let mut fields = vec![(":method", "POST")];
    fields.extend_from_slice(&USUAL[1..]);
    fields.extend_from_slice(more);
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &block(&fields));
    for (at, piece) in pieces.iter().enumerate() {
        let is_last = at + 1 == pieces.len() && trailers.is_empty();
        bytes.extend(frame(
            DATA,
            if is_last { END_STREAM } else { 0 },
            1,
            piece.as_bytes(),
        ));
    }
    if !trailers.is_empty() {
        bytes.extend(frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &block(trailers),
        ));
    }
    bytes
}

fn passes(name: &'static str, frames: Vec<u8>, reached: &'static [&'static str]) -> Case {
    Case {
        name,
        frames,
        end: Wanted::Answered(&[200]),
        reached,
    }
}

fn refused(name: &'static str, frames: Vec<u8>, statuses: &'static [u16]) -> Case {
    Case {
        name,
        frames,
        end: Wanted::Answered(statuses),
        reached: &[],
    }
}

fn malformed(name: &'static str, frames: Vec<u8>) -> Case {
    Case {
        name,
        frames,
        end: Wanted::Malformed(&[400]),
        reached: &[],
    }
}

async fn run_one(bench: &Bench, case: &Case) -> Result<(), String> {
    bench.upstream.take();
    let mut http2 = Http2::to(bench.gateway.http).await?;
    http2.send(&case.frames).await;
    let end = http2.end_of(1).await?;
    if !case.end.is(&end) {
        return Err(format!("ended as {end:?}"));
    }
    let got = bench.reached().await?;
    let asked: Vec<_> = got.iter().map(Message::asked).collect();
    if asked != case.reached {
        return Err(format!("the upstream got {asked:?}"));
    }
    Ok(())
}

async fn run(cases: impl IntoIterator<Item = Case>) {
    let bench = Bench::start("").await;
    let mut failures = Vec::new();
    for case in cases {
        if let Err(why) = run_one(&bench, &case).await {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn pseudo_headers() {
    run([
        passes("plain", with(&[]), &["GET /a"]),
        passes(
            "https behind something",
            but(&[(":scheme", "https")]),
            &["GET /a"],
        ),
        passes(
            "Host instead of :authority",
            without(":authority", &[("host", "a")]),
            &["GET /a"],
        ),
        passes("both, the same", with(&[("host", "A")]), &["GET /a"]),
        refused("both, different", with(&[("host", "b")]), &[400]),
        refused(
            "Host twice",
            without(":authority", &[("host", "a"), ("host", "a")]),
            &[400],
        ),
        malformed("neither", without(":authority", &[])),
        malformed("a user in :authority", but(&[(":authority", "u@a")])),
        malformed("a path in :authority", but(&[(":authority", "a/b")])),
        malformed("a space in :authority", but(&[(":authority", "a b")])),
        malformed(
            "a line break in :authority",
            but(&[(":authority", "a\r\nX: y")]),
        ),
        malformed("two :path", with(&[(":path", "/b")])),
        malformed("two :method", with(&[(":method", "POST")])),
        malformed("two :authority", with(&[(":authority", "b")])),
        malformed("two :scheme", with(&[(":scheme", "https")])),
        malformed("empty :path", but(&[(":path", "")])),
        malformed("empty :method", but(&[(":method", "")])),
        // It means nothing here: nothing is routed by it, and it is not passed on.
        passes("empty :scheme", but(&[(":scheme", "")]), &["GET /a"]),
        malformed("no :path", without(":path", &[])),
        malformed("no :method", without(":method", &[])),
        malformed("no :scheme", without(":scheme", &[])),
        malformed("an unknown one", with(&[(":x", "y")])),
        malformed(":status", with(&[(":status", "200")])),
        malformed(
            ":path after a field",
            without(":path", &[("x", "y"), (":path", "/a")]),
        ),
        malformed("a space in :method", but(&[(":method", "GET /b HTTP/1.1")])),
        malformed(
            "a line break in :method",
            but(&[(":method", "GET /b HTTP/1.1\r\nX: y")]),
        ),
        refused("get", but(&[(":method", "get")]), &[400]),
        malformed("TRACE", but(&[(":method", "TRACE")])).or(&[501, 405]),
        malformed(
            "CONNECT",
            request(&[(":method", "CONNECT"), (":authority", "a:443")]),
        )
        .or(&[501, 405]),
        malformed(
            "extended CONNECT, which was not offered",
            request(
                &[
                    &[(":method", "CONNECT"), (":protocol", "websocket")],
                    &USUAL[1..],
                ]
                .concat(),
            ),
        )
        .or(&[501, 405]),
        malformed(
            ":protocol without CONNECT",
            with(&[(":protocol", "websocket")]),
        ),
    ])
    .await;
}

impl Case {
    fn or(mut self, statuses: &'static [u16]) -> Self {
        self.end = Wanted::Malformed(statuses);
        self
    }
}

#[tokio::test]
async fn paths() {
    let bad = [
        "a",
        "*",
        "//",
        "/a/../b",
        "/a/%2e%2e/b",
        "/a%2fb",
        "/a\\b",
        "/a%00",
        "/%2561",
        "/a b",
        "/a\r\nX: y",
        "/a HTTP/1.1\r\nHost: b\r\n\r\nGET /b",
        "/a\0b",
        "/a\u{1}",
        "/a\u{7f}",
        "/a\t",
        "http://a/b",
        " /a",
        "/a/..;/b",
    ];
    let bad = bad.map(|path| malformed(path, but(&[(":path", path)])));
    let good = [
        ("a query", "/a?b=../c", &["GET /a?b=../c"][..]),
        ("escapes", "/%61", &["GET /%61"]),
        ("a fragment is gone for both", "/a#b", &["GET /a"]),
    ];
    let good = good.map(|(name, path, reached)| passes(name, but(&[(":path", path)]), reached));
    run(bad.into_iter().chain(good)).await;
}

#[tokio::test]
async fn fields() {
    run([
        malformed("a capital in a name", with(&[("X", "y")])),
        malformed("a space in a name", with(&[("x y", "z")])),
        malformed("a colon in a name", with(&[("x:y", "z")])),
        malformed("a line break in a name", with(&[("x\r\ny", "z")])),
        malformed("a NUL in a name", with(&[("x\0", "z")])),
        malformed("no name", with(&[("", "z")])),
        malformed("a line break in a value", with(&[("x", "y\r\nz: 1")])),
        malformed("LF in a value", with(&[("x", "y\nz: 1")])),
        malformed("CR in a value", with(&[("x", "y\rz")])),
        malformed("a NUL in a value", with(&[("x", "y\0z")])),
        malformed("connection", with(&[("connection", "close")])),
        malformed(
            "connection that names",
            with(&[("connection", "x"), ("x", "y")]),
        ),
        malformed("keep-alive", with(&[("keep-alive", "timeout=5")])),
        malformed(
            "proxy-connection",
            with(&[("proxy-connection", "keep-alive")]),
        ),
        malformed(
            "transfer-encoding",
            with(&[("transfer-encoding", "chunked")]),
        ),
        malformed("upgrade", with(&[("upgrade", "websocket")])),
        malformed("te of gzip", with(&[("te", "gzip")])),
        passes("te of trailers", with(&[("te", "trailers")]), &["GET /a"]),
        refused("an unknown expectation", with(&[("expect", "x")]), &[417]),
    ])
    .await;
}

#[tokio::test]
async fn bodies() {
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    run([
        passes("plain", post(&[], &["abc"], &[]), &["POST /a"]),
        passes(
            "its length",
            post(&[("content-length", "3")], &["a", "bc"], &[]),
            &["POST /a"],
        ),
        passes(
            "a request within",
            post(&[], &[smuggled], &[]),
            &["POST /a"],
        ),
        malformed(
            "longer than its length",
            post(&[("content-length", "2")], &["abc"], &[]),
        ),
        malformed(
            "longer, by a request",
            post(&[("content-length", "0")], &[smuggled], &[]),
        ),
        malformed(
            "shorter than its length",
            post(&[("content-length", "5")], &["abc"], &[]),
        ),
        malformed("a length without a body", with(&[("content-length", "5")])),
        malformed(
            "two lengths",
            post(
                &[("content-length", "3"), ("content-length", "4")],
                &["abc"],
                &[],
            ),
        ),
        malformed(
            "a negative length",
            post(&[("content-length", "-3")], &["abc"], &[]),
        ),
        malformed(
            "a signed length",
            post(&[("content-length", "+3")], &["abc"], &[]),
        ),
        malformed("no length", post(&[("content-length", "x")], &["abc"], &[])),
        // h2 takes no notice of it, and it does not come out.
        passes(
            "a pseudo-header in the trailers",
            post(&[], &["abc"], &[(":path", "/b")]),
            &["POST /a"],
        ),
        malformed(
            "a capital in the trailers",
            post(&[], &["abc"], &[("X", "y")]),
        ),
        malformed(
            "a line break in the trailers",
            post(&[], &["abc"], &[("x", "y\r\n\r\nGET /b")]),
        ),
        passes(
            "trailers",
            post(&[("trailer", "x")], &["abc"], &[("x", "y")]),
            &["POST /a"],
        ),
        malformed("trailers that do not end the stream", {
            let mut bytes = post(&[], &["abc", ""], &[]);
            // The last piece is taken away again: nine bytes.
            bytes.truncate(bytes.len() - 9);
            bytes.extend(frame(HEADERS, END_HEADERS, 1, &block(&[("x", "y")])));
            bytes
        }),
    ])
    .await;
}

/// What is one request in HTTP/2 is one in HTTP/1.1, with the fields that HTTP/1.1 wants.
#[tokio::test]
async fn what_arrives_is_http_1() {
    let bench = Bench::start("").await;
    let mut http2 = Http2::to(bench.gateway.http).await.unwrap();
    http2
        .send(with(&[
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("x-forwarded-for", "6.6.6.6"),
            ("te", "trailers"),
        ]))
        .await;
    assert_eq!(http2.end_of(1).await.unwrap(), End::Answered(200));
    let got = bench.reached().await.unwrap();
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(got[0].field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(got[0].field("x-forwarded-host"), Some("a"));
    assert_eq!(got[0].field("via"), Some("2 gateway"));
    // RFC 9113, section 8.2.3.
    assert_eq!(got[0].field("cookie"), Some("a=1; b=2"));
    assert_eq!(got[0].field("te"), None);
    assert!(got[0].field("host").is_some());
}

/// Header blocks in pieces are one block, and nothing may come between.
#[tokio::test]
async fn header_blocks_in_pieces() {
    let block = block(&USUAL);
    let mut pieces = frame(HEADERS, END_STREAM, 1, &block[..5]);
    for byte in &block[5..block.len() - 1] {
        pieces.extend(frame(CONTINUATION, 0, 1, &[*byte]));
    }
    pieces.extend(frame(
        CONTINUATION,
        END_HEADERS,
        1,
        &block[block.len() - 1..],
    ));
    let mut three = frame(HEADERS, END_STREAM, 1, &block[..5]);
    three.extend(frame(CONTINUATION, 0, 1, &block[5..9]));
    three.extend(frame(CONTINUATION, END_HEADERS, 1, &block[9..]));
    let mut interrupted = frame(HEADERS, END_STREAM, 1, &block[..5]);
    interrupted.extend(frame(DATA, 0, 1, b"x"));
    interrupted.extend(frame(CONTINUATION, END_HEADERS, 1, &block[5..]));
    run([
        passes("three pieces", three, &["GET /a"]),
        // h2 takes so many small pieces for a flood, and ends the connection.
        malformed("bit by bit", pieces),
        malformed("interrupted", interrupted),
    ])
    .await;
}
