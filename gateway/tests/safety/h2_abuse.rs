//! HTTP/2 connections that take more than their share, or break the protocol: each ends, and the gateway goes on serving others.

use std::time::{Duration, Instant};

use crate::support::{
    case::Bench,
    h2::{
        self, ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, End, GOAWAY, HEADERS, Http2, PING,
        PREFACE, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, get,
    },
    upstream::Reply,
};

const CANCEL: [u8; 4] = [0, 0, 0, 8];
const BOUND: Duration = Duration::from_secs(20);

fn odd(at: u32) -> u32 {
    2 * at + 1
}

/// CVE-2023-44487, as fast as it goes.
#[tokio::test]
async fn rapid_reset() {
    let bench = Bench::start("").await;
    bench.upstream.reply(Reply::Silence);
    let mut http2 = Http2::to(bench.gateway.http).await.unwrap();
    let mut sent = 0;
    'attack: for round in 0..100 {
        let mut burst = Vec::new();
        for at in 0..100 {
            let stream = odd(round * 100 + at);
            burst.extend(get(stream, "/a"));
            burst.extend(frame(RST_STREAM, 0, stream, &CANCEL));
        }
        sent += 100;
        if !http2.send(burst).await {
            break 'attack;
        }
    }
    let code = http2.ended().await.unwrap();
    assert!(
        code.is_none_or(|code| code != 0),
        "a graceful end: {code:?}"
    );
    let arrived = bench.upstream.arrivals();
    assert!(arrived <= 1000, "{arrived} of {sent} requests arrived");
    bench.reached().await.unwrap();
}

/// The same at a pace at which each request is under way before it is reset, so that none is ever pending.
#[tokio::test]
async fn rapid_reset_of_requests_under_way() {
    let bench = Bench::start("").await;
    bench.upstream.reply(Reply::Silence);
    let mut http2 = Http2::to(bench.gateway.http).await.unwrap();
    let mut ended_after = None;
    'attack: for at in 0..2000 {
        let mut bytes = get(odd(at), "/a");
        bytes.extend(frame(PING, 0, 0, &[0; 8]));
        if !http2.send(bytes).await {
            ended_after = Some(at);
            break;
        }
        loop {
            match http2.next().await.unwrap() {
                Some(frame) if frame.kind == PING && frame.flags & ACK != 0 => break,
                Some(_) => {}
                None => {
                    ended_after = Some(at);
                    break 'attack;
                }
            }
        }
        http2.send(frame(RST_STREAM, 0, odd(at), &CANCEL)).await;
    }
    assert!(
        ended_after.is_some_and(|after| after <= 1000),
        "ended after {ended_after:?} of 2000"
    );
    bench.reached().await.unwrap();
}

/// CVE-2024-27316 and its kin.
#[tokio::test]
async fn continuation_flood() {
    let bench = Bench::start("").await;
    let field = block(&[("x", &"y".repeat(8000))]);
    for (name, piece) in [
        ("large", field.repeat(2)),
        ("small", block(&[("x", "y")])),
        ("empty", Vec::new()),
    ] {
        let mut http2 = Http2::to(bench.gateway.http).await.unwrap();
        let start = frame(HEADERS, END_STREAM, 1, &block(&[(":method", "GET")]));
        http2.send(start).await;
        let burst = frame(CONTINUATION, 0, 1, &piece).repeat(100);
        let mut sent = 0;
        // 100,000 frames; of the large ones 1.6 GB.
        while sent < 1000 && http2.send(&burst).await {
            sent += 1;
        }
        let is_bounded = sent < 1000 || http2.ended().await.is_ok();
        assert!(is_bounded, "{name}: {sent}");
        drop(http2);
        assert_eq!(bench.reached().await.unwrap(), [], "{name}");
    }
}

/// Each of these asks for an answer that is never read.
#[tokio::test]
async fn floods_of_frames_that_want_an_answer() {
    let bench = Bench::start("").await;
    for (name, one) in [
        ("SETTINGS", frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])),
        ("PING", frame(PING, 0, 0, &[0; 8])),
        (
            "WINDOW_UPDATE of nothing",
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 0]),
        ),
        (
            "RST_STREAM of idle streams",
            frame(RST_STREAM, 0, 1, &CANCEL),
        ),
        ("empty DATA", frame(DATA, 0, 1, &[])),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 0])),
    ] {
        let mut http2 = Http2::to(bench.gateway.http).await.unwrap();
        let burst = one.repeat(1000);
        // What is not read backs up to whoever sends, or the connection ends; in neither case does the gateway keep the answers.
        for _ in 0..100 {
            let sending = tokio::time::timeout(Duration::from_millis(500), http2.send(&burst));
            if !matches!(sending.await, Ok(true)) {
                break;
            }
        }
        drop(http2);
        assert_eq!(bench.reached().await.unwrap(), [], "{name}");
    }
    let resident = resident_bytes(&bench);
    assert!(resident < 256 << 20, "{resident} bytes are resident");
}

/// How much memory the gateway holds.
fn resident_bytes(bench: &Bench) -> u64 {
    let status = format!("/proc/{}/status", bench.gateway.id());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kibibytes.parse::<u64>().unwrap() * 1024
}

/// An entry of the dynamic table named over and over: a small frame, a huge list.
#[tokio::test]
async fn header_bombs() {
    let bench = Bench::start("").await;
    let usual = block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/a"),
    ]);
    // Literal with incremental indexing, and then its index, 62.
    let mut remembered = vec![0x40, 1, b'x', 127, 0xa1, 0x1e];
    remembered.extend(vec![b'y'; 4000]);
    let bomb = [&usual[..], &remembered, &[0x80 | 62; 10_000]].concat();
    let plain = [&usual[..], &block(&[("x", &"y".repeat(60_000))])].concat();
    let many: Vec<u8> = (0..3000)
        .flat_map(|at| block(&[(&format!("x-{at}"), "y")]))
        .collect();
    let many = [&usual[..], &many].concat();
    for (name, list) in [
        ("bomb", bomb),
        ("one large field", plain),
        ("many fields", many),
    ] {
        let mut http2 = Http2::to(bench.gateway.http).await.unwrap();
        let mut pieces = list.chunks(16_000).peekable();
        let mut bytes = frame(HEADERS, END_STREAM, 1, pieces.next().unwrap());
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            bytes.extend(frame(CONTINUATION, flags, 1, piece));
        }
        if list.len() <= 16_000 {
            bytes = frame(HEADERS, END_STREAM | END_HEADERS, 1, &list);
        }
        http2.send(bytes).await;
        let end = http2.end_of(1).await.unwrap();
        assert!(
            matches!(end, End::Answered(431) | End::Reset(_) | End::Connection),
            "{name}: {end:?}"
        );
        drop(http2);
        assert_eq!(bench.reached().await.unwrap(), [], "{name}");
    }
}

/// More streams than were allowed are refused, and do not reach the upstream.
#[tokio::test]
async fn streams_over_the_limit() {
    let bench = Bench::start("").await;
    bench.upstream.reply(Reply::Silence);
    let mut http2 = Http2::to(bench.gateway.http).await.unwrap();
    let mut burst = Vec::new();
    for at in 0..300 {
        burst.extend(get(odd(at), "/a"));
    }
    // The last of them is over the limit, whatever the limit is below 300.
    http2.send(burst).await;
    let end = http2.end_of(odd(299)).await.unwrap();
    assert!(
        matches!(end, End::Reset(7 | 11) | End::Connection),
        "{end:?}"
    );
    let arrived = bench.upstream.arrivals();
    assert!(arrived <= 128, "{arrived} arrived");
}

/// RFC 9113's errors of connections, beside those of the cases above.
#[tokio::test]
async fn protocol_errors() {
    let bench = Bench::start("").await;
    let open = |stream| {
        frame(
            HEADERS,
            END_HEADERS,
            stream,
            &block(&[
                (":method", "POST"),
                (":scheme", "http"),
                (":authority", "a"),
                (":path", "/a"),
            ]),
        )
    };
    let max = 0x7fff_ffff_u32.to_be_bytes();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("DATA on stream 0", frame(DATA, 0, 0, b"x")),
        ("DATA on an idle stream", frame(DATA, 0, 1, b"x")),
        (
            "HEADERS on stream 0",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                0,
                &block(&[(":method", "GET")]),
            ),
        ),
        ("HEADERS on an even stream", get(2, "/a")),
        (
            "an older stream",
            [get(5, "/a/../b"), get(3, "/a")].concat(),
        ),
        (
            "CONTINUATION without HEADERS",
            frame(CONTINUATION, END_HEADERS, 1, &[]),
        ),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[])),
        ("SETTINGS of five bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        (
            "SETTINGS, acknowledged with a payload",
            frame(SETTINGS, ACK, 0, &[0; 6]),
        ),
        (
            "a push by the client",
            frame(5, END_HEADERS, 1, &[0, 0, 0, 2]),
        ),
        (
            "an initial window too large",
            frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]),
        ),
        (
            "a frame size too small",
            frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]),
        ),
        ("a frame too large", frame(DATA, 0, 1, &[0; 20_000])),
        ("PING of seven bytes", frame(PING, 0, 0, &[0; 7])),
        ("PING on a stream", frame(PING, 0, 1, &[0; 8])),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8])),
        (
            "WINDOW_UPDATE of three bytes",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
        ),
        (
            "a window beyond its limit",
            [
                frame(WINDOW_UPDATE, 0, 0, &max),
                frame(WINDOW_UPDATE, 0, 0, &max),
            ]
            .concat(),
        ),
        (
            "RST_STREAM of three bytes",
            frame(RST_STREAM, 0, 1, &[0; 3]),
        ),
        ("RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &CANCEL)),
        (
            "an index beyond the table",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x80 | 126]),
        ),
        (
            "a block that breaks off",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 5, b'x']),
        ),
        (
            "padding longer than the frame",
            [open(1), frame(DATA, 8, 1, &[200, 1])].concat(),
        ),
        (
            "nonsense instead of frames",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
    ];
    let mut failures = Vec::new();
    for (name, bytes) in cases {
        let mut http2 = Http2::to(bench.gateway.http).await.unwrap();
        http2.send(&bytes).await;
        // A PING that is answered shows a connection that goes on.
        http2.send(frame(PING, 0, 0, &[7; 8])).await;
        let outcome = tokio::time::timeout(BOUND, async {
            while let Some(frame) = http2.next().await? {
                if frame.kind == PING && frame.payload == [7; 8] && http2.goaway.is_none() {
                    return Err("the connection goes on".to_owned());
                }
                // A stream's error will do where the stream is known.
                if frame.kind == RST_STREAM && h2::error_code(&frame) != 0 {
                    return Ok(());
                }
            }
            Ok(())
        })
        .await;
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(why)) => failures.push(format!("{name}: {why}")),
            Err(_) => failures.push(format!("{name}: neither an error nor an end")),
        }
        drop(http2);
        let got = bench.reached().await.unwrap();
        if !got.is_empty() {
            failures.push(format!("{name}: the upstream got {got:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Frames of unknown types are ignored (RFC 9113 section 4.1).
#[tokio::test]
async fn unknown_frames_are_ignored() {
    let bench = Bench::start("").await;
    let mut http2 = Http2::to(bench.gateway.http).await.unwrap();
    http2
        .send(
            [
                frame(0xee, 0xff, 0, b"x"),
                frame(0xef, 0, 7, b"y"),
                get(1, "/a"),
            ]
            .concat(),
        )
        .await;
    assert_eq!(http2.end_of(1).await.unwrap(), End::Answered(200));
}

/// What begins as the preface and is none.
#[tokio::test]
async fn a_broken_preface() {
    let bench = Bench::start("").await;
    for begin in [
        &PREFACE[..10],
        &PREFACE[..23],
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        let mut connection = crate::support::connection::Connection::to(bench.gateway.http).await;
        connection.send(begin).await;
        connection.end_sending().await;
        connection.ended().await.unwrap();
    }
    assert_eq!(bench.reached().await.unwrap(), []);
}

/// The window of a stream stays closed, while the connection is as lively as can be: the upstream's connection and the permit are not held
/// for ever, and other streams go on.
#[tokio::test]
async fn a_window_that_stays_closed() {
    let bench = Bench::start("[defaults]\nbulkhead = { max_concurrent = 1 }").await;
    // More than all buffers on the way.
    let large = vec![b'x'; 32 << 20];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", large.len());
    bench
        .upstream
        .reply(Reply::Bytes([head.as_bytes(), &large].concat()));
    let mut http2 = Http2::to(bench.gateway.http).await.unwrap();
    http2.send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
    http2.send(get(1, "/a")).await;
    let since = Instant::now();
    let bound = Duration::from_secs(45);
    let reset = loop {
        assert!(since.elapsed() < bound, "the stream is still open");
        http2.send(frame(PING, 0, 0, &[0; 8])).await;
        match http2.next().await.unwrap() {
            Some(frame) if frame.kind == RST_STREAM && frame.stream == 1 => break true,
            Some(frame) if frame.kind == PING => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Some(_) => {}
            None => break false,
        }
    };
    assert!(reset, "the whole connection ended");
    assert!(since.elapsed() > Duration::from_secs(20), "too soon");
    bench.upstream.reply(Reply::Plain);
    http2.send(get(3, "/b")).await;
    // Its window is closed, too: the head is all that comes.
    loop {
        let frame = http2.next().await.unwrap().unwrap();
        if frame.kind == HEADERS && frame.stream == 3 {
            // `:status: 200` is in HPACK's static table.
            assert_eq!(frame.payload[0], 0x88, "not admitted");
            break;
        }
    }
}
