//! How much of anything one side may send.

use crate::support::{
    case::{Bench, Case, Then},
    connection::Connection,
    h2::{END_HEADERS, END_STREAM, End, HEADERS, Http2, block, frame},
    upstream::Reply,
};

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[tokio::test]
async fn request_heads() {
    let bench = Bench::start("").await;
    let many = |count: usize| {
        (0..count)
            .map(|at| format!("X-{at}: y\r\n"))
            .collect::<String>()
    };
    let cases = [
        Case::new("90 fields", get("/a", &many(90)))
            .passes("GET /a")
            .then(Then::Kept),
        Case::new("1,000 fields", get("/a", &many(1000))).refused(&[431]),
        Case::new(
            "1,000 lines of one field",
            get("/a", &"X: y\r\n".repeat(1000)),
        )
        .refused(&[431]),
        Case::new(
            "16 KiB in one field",
            get("/a", &format!("X: {}\r\n", "y".repeat(16 << 10))),
        )
        .passes("GET /a"),
        Case::new(
            "1 MiB in one field",
            get("/a", &format!("X: {}\r\n", "y".repeat(1 << 20))),
        )
        .refused(&[431]),
        Case::new(
            "1 MiB in a field's name",
            get("/a", &format!("{}: y\r\n", "X".repeat(1 << 20))),
        )
        .refused(&[431]),
        Case::new(
            "a name of 70,000 bytes",
            get("/a", &format!("{}: y\r\n", "X".repeat(70_000))),
        )
        .refused(&[431, 400]),
        Case::new(
            "1 MiB without an end",
            format!("GET /a HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(1 << 20)),
        )
        .refused(&[431]),
        Case::new("1 MiB without a line", vec![b'A'; 1 << 20]).refused(&[400, 414, 431]),
        Case::new(
            "a method of 100,000 bytes",
            format!("{} /a HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(100_000)),
        )
        .answered(&[400, 414, 431, 501]),
        Case::new(
            "a target of 8,000 bytes",
            get(&format!("/{}", "a".repeat(8_000)), ""),
        )
        .passes(&format!("GET /{}", "a".repeat(8_000))),
        Case::new(
            "a target of 9,000 bytes",
            get(&format!("/{}", "a".repeat(9_000)), ""),
        )
        .answered(&[414]),
        Case::new(
            "a query of 9,000 bytes",
            get(&format!("/?{}", "a".repeat(9_000)), ""),
        )
        .answered(&[414]),
        Case::new(
            "a target of 70,000 bytes",
            get(&format!("/{}", "a".repeat(70_000)), ""),
        )
        .answered(&[414]),
    ];
    bench.run(cases).await;
}

#[tokio::test]
async fn request_bodies() {
    let bench = Bench::start("max_body = \"1KiB\"").await;
    let post =
        |fields: &str, body: &str| format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
    let (fits, too_large) = ("x".repeat(1024), "x".repeat(1025));
    let chunked = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let cases = [
        Case::new("fits", post("Content-Length: 1024\r\n", &fits))
            .passes("POST /a")
            .contains("POST /a 1024"),
        Case::new(
            "fits in chunks",
            post("Transfer-Encoding: chunked\r\n", &chunked(&fits)),
        )
        .passes("POST /a")
        .contains("POST /a 1024"),
        Case::new(
            "too large by its length",
            post("Content-Length: 1025\r\n", &too_large),
        )
        .answered(&[413]),
        // Known from the length alone: nothing of the body need be sent.
        Case::new(
            "too large, and not sent",
            post("Content-Length: 1000000000\r\n", ""),
        )
        .answered(&[413]),
        Case::new(
            "too large, and announced",
            post("Expect: 100-continue\r\nContent-Length: 1000000000\r\n", ""),
        )
        .answered(&[413]),
        Case::new(
            "too large in chunks",
            post("Transfer-Encoding: chunked\r\n", &chunked(&too_large)),
        )
        .answered(&[413]),
        Case::new(
            "too large in many chunks",
            post(
                "Transfer-Encoding: chunked\r\n",
                &format!("{}0\r\n\r\n", "1\r\na\r\n".repeat(2000)),
            ),
        )
        .answered(&[413]),
        Case::new(
            "an endless chunk",
            post(
                "Transfer-Encoding: chunked\r\n",
                &format!("7fffffffffffffff\r\n{too_large}"),
            ),
        )
        .answered(&[413]),
    ];
    bench.run(cases).await;
}

/// The same towards the upstream: what it sends is no reason to fall over.
#[tokio::test]
async fn answer_heads() {
    let bench = Bench::start("").await;
    let answer = |fields: &str| {
        Reply::bytes(&format!(
            "HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"
        ))
    };
    let many = |count: usize| {
        (0..count)
            .map(|at| format!("X-{at}: y\r\n"))
            .collect::<String>()
    };
    let ask = || get("/a", "");
    let cases = [
        Case::new("90 fields", ask())
            .reply(answer(&many(90)))
            .passes("GET /a"),
        Case::new("1,000 fields", ask())
            .reply(answer(&many(1000)))
            .answered(&[502])
            .reaches("GET /a"),
        Case::new("1 MiB in one field", ask())
            .reply(answer(&format!("X: {}\r\n", "y".repeat(1 << 20))))
            .answered(&[502])
            .reaches("GET /a"),
        Case::new("1 MiB of fields", ask())
            .reply(answer(
                &format!("X: {}\r\n", "y".repeat(8 << 10)).repeat(128),
            ))
            .answered(&[502])
            .reaches("GET /a"),
        Case::new("1 MiB without an end", ask())
            .reply(Reply::Bytes(
                [b"HTTP/1.1 200 OK\r\nX: ", &vec![b'y'; 1 << 20][..]].concat(),
            ))
            .answered(&[502])
            .reaches("GET /a"),
        Case::new("1 MiB of reason", ask())
            .reply(Reply::bytes(&format!(
                "HTTP/1.1 200 {}\r\n\r\n",
                "y".repeat(1 << 20)
            )))
            .answered(&[502])
            .reaches("GET /a"),
    ];
    bench.run(cases).await;
}

/// Configured limits hold, not only those built in.
#[tokio::test]
async fn limits_are_what_the_configuration_says() {
    let settings = "[limits]\nheaders = 20\nheader_bytes = \"8KiB\"\nuri_bytes = \"100B\"\nrequests_per_connection = 3";
    let bench = Bench::start(settings).await;
    let many = |count: usize| {
        (0..count)
            .map(|at| format!("X-{at}: y\r\n"))
            .collect::<String>()
    };
    let three = get("/1", "").repeat(3);
    bench
        .run([
            Case::new("few fields", get("/a", &many(10))).passes("GET /a"),
            Case::new("too many fields", get("/a", &many(30))).refused(&[431]),
            Case::new(
                "too many bytes",
                get("/a", &format!("X: {}\r\n", "y".repeat(9 << 10))),
            )
            .answered(&[431]),
            Case::new("too long", get(&format!("/{}", "a".repeat(100)), "")).answered(&[414]),
            Case::new(
                "the last request of a connection",
                format!("{three}{}", get("/4", "")),
            )
            .passes("GET /1")
            .passes("GET /1")
            .passes("GET /1")
            .then(Then::Closed),
        ])
        .await;
}

/// HTTP/2 bounds the bytes of a head by itself, but not how many fields they make.
#[tokio::test]
async fn http2_has_no_more_fields_than_http1() {
    let bench = Bench::start("[limits]\nheaders = 20").await;
    for (count, expected) in [(10, 200), (30, 431)] {
        let names: Vec<String> = (0..count).map(|at| format!("x-{at}")).collect();
        let mut fields = vec![
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/a"),
        ];
        fields.extend(names.iter().map(|name| (name.as_str(), "y")));
        let mut http2 = Http2::to(bench.gateway.http).await.unwrap();
        let flags = END_HEADERS | END_STREAM;
        http2.send(frame(HEADERS, flags, 1, &block(&fields))).await;
        assert_eq!(http2.end_of(1).await.unwrap(), End::Answered(expected));
    }
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_others_go_on() {
    let bench = Bench::start("[limits]\nconnections = 4").await;
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut connection = Connection::to(bench.gateway.http).await;
        connection.send(get("/a", "").as_bytes()).await;
        assert_eq!(
            connection.answer(false).await.unwrap().unwrap().status(),
            200
        );
        open.push(connection);
    }
    let mut fifth = Connection::to(bench.gateway.http).await;
    fifth.send(get("/a", "").as_bytes()).await;
    match fifth.answer(false).await {
        Ok(Some(answer)) => assert_eq!(answer.status(), 503),
        Ok(None) | Err(_) => assert!(fifth.closed),
    }
    let first = &mut open[0];
    first.send(get("/b", "").as_bytes()).await;
    assert_eq!(first.answer(false).await.unwrap().unwrap().status(), 200);
    drop(open);
    crate::support::poll::until("there is room again", async || {
        let mut connection = Connection::to(bench.gateway.http).await;
        connection.send(get("/c", "").as_bytes()).await;
        matches!(connection.answer(false).await, Ok(Some(answer)) if answer.status() == 200)
            .then_some(())
    })
    .await;
}
