//! Where a body ends: every way to say it twice, or so that two readers could disagree, with a second request behind it that must not
//! come out as one where it is part of the first.

use crate::support::case::{Bench, Case, Then};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(fields: &str, body: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

#[tokio::test]
async fn lengths() {
    let bench = Bench::start("").await;
    let refused = [
        ("differing", "Content-Length: 3\r\nContent-Length: 4\r\n"),
        (
            "differing, three",
            "Content-Length: 3\r\nContent-Length: 3\r\nContent-Length: 0\r\n",
        ),
        ("listed", "Content-Length: 3, 3\r\n"),
        ("listed, differing", "Content-Length: 3, 4\r\n"),
        ("negative", "Content-Length: -1\r\n"),
        ("signed", "Content-Length: +3\r\n"),
        ("hexadecimal", "Content-Length: 0x3\r\n"),
        ("hexadecimal digits", "Content-Length: a\r\n"),
        ("empty", "Content-Length:\r\n"),
        ("a space within", "Content-Length: 1 3\r\n"),
        ("a fraction", "Content-Length: 3.0\r\n"),
        ("an exponent", "Content-Length: 3e0\r\n"),
        ("quoted", "Content-Length: \"3\"\r\n"),
        (
            "more than 64 bits",
            "Content-Length: 18446744073709551616\r\n",
        ),
        (
            "as much as 64 bits",
            "Content-Length: 18446744073709551615\r\n",
        ),
        (
            "a thousand digits",
            &format!("Content-Length: {}\r\n", "9".repeat(1000)),
        ),
        ("in other digits", "Content-Length: \u{663}\r\n"),
        ("a separator", "Content-Length: 1_0\r\n"),
    ];
    let refused = refused.map(|(name, fields)| {
        Case::new(name, post(fields, &format!("abc{SMUGGLED}"))).refused(&[400, 413, 431])
    });
    let passed = [
        Case::new("plain", post("Content-Length: 3\r\n", "abc"))
            .passes("POST /a")
            .contains("POST /a 3")
            .then(Then::Kept),
        Case::new("zeros before", post("Content-Length: 0003\r\n", "abc"))
            .passes("POST /a")
            .contains("POST /a 3"),
        // RFC 9110 section 8.6 allows to take equal ones as one, and one is what arrives.
        Case::new(
            "equal",
            post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
        )
        .answered(&[200])
        .reaches("POST /a"),
        Case::new("none", post("", ""))
            .passes("POST /a")
            .contains("POST /a 0"),
        Case::new(
            "a body of GET",
            "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        )
        .passes("GET /a")
        .contains("GET /a 3")
        .then(Then::Kept),
        Case::new(
            "a whole request in the body stays there",
            post(&format!("Content-Length: {}\r\n", SMUGGLED.len()), SMUGGLED),
        )
        .passes("POST /a")
        .contains(&format!("POST /a {}", SMUGGLED.len()))
        .then(Then::Kept),
    ];
    bench.run(refused.into_iter().chain(passed)).await;
}

#[tokio::test]
async fn encodings() {
    let bench = Bench::start("").await;
    let refused = [
        (
            "twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "twice, one of them unknown",
            "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "twice, the last unknown",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        ),
        (
            "chunked, chunked",
            "Transfer-Encoding: chunked, chunked\r\n",
        ),
        ("gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n"),
        ("chunked, gzip", "Transfer-Encoding: chunked, gzip\r\n"),
        (
            "chunked, identity",
            "Transfer-Encoding: chunked, identity\r\n",
        ),
        ("identity", "Transfer-Encoding: identity\r\n"),
        (
            "identity, chunked",
            "Transfer-Encoding: identity, chunked\r\n",
        ),
        ("gzip", "Transfer-Encoding: gzip\r\n"),
        ("xchunked", "Transfer-Encoding: xchunked\r\n"),
        ("chunkedx", "Transfer-Encoding: chunkedx\r\n"),
        ("quoted", "Transfer-Encoding: \"chunked\"\r\n"),
        ("a parameter", "Transfer-Encoding: chunked;q=1\r\n"),
        ("a comma after", "Transfer-Encoding: chunked,\r\n"),
        ("a comma before", "Transfer-Encoding: ,chunked\r\n"),
        ("empty", "Transfer-Encoding:\r\n"),
        ("a vertical tab", "Transfer-Encoding: \x0bchunked\r\n"),
        ("a NUL after", "Transfer-Encoding: chunked\0\r\n"),
        ("a high byte", "Transfer-Encoding: chunked\u{a0}\r\n"),
        ("space before the colon", "Transfer-Encoding : chunked\r\n"),
        ("folded", "Transfer-Encoding:\r\n chunked\r\n"),
        ("a lone CR", "X: y\rTransfer-Encoding: chunked\r\n"),
    ];
    let refused = refused.map(|(name, fields)| {
        Case::new(name, post(fields, &format!("0\r\n\r\n{SMUGGLED}"))).refused(&[400, 501])
    });
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    let passed = [
        ("plain", "Transfer-Encoding: chunked\r\n"),
        ("capitals", "TRANSFER-ENCODING: CHUNKED\r\n"),
        ("a tab before", "Transfer-Encoding:\tchunked\r\n"),
        ("spaces around", "Transfer-Encoding:   chunked  \r\n"),
    ];
    let passed = passed.map(|(name, fields)| {
        Case::new(name, post(fields, chunks))
            .passes("POST /a")
            .contains("POST /a 3")
            .then(Then::Kept)
    });
    let others = [
        // No framing field at all, so there is no body, and what follows is the next request.
        Case::new(
            "look-alikes frame nothing",
            post("Transfer_Encoding: chunked\r\nContent_Length: 3\r\n", ""),
        )
        .passes("POST /a")
        .contains("POST /a 0")
        .then(Then::Kept),
        Case::new(
            "in HTTP/1.0",
            format!("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"),
        )
        .refused(&[400]),
    ];
    bench
        .run(refused.into_iter().chain(passed).chain(others))
        .await;
}

/// RFC 9112 section 6.3: an error, or the chunks alone and then the end of the connection.
#[tokio::test]
async fn both_framings() {
    let bench = Bench::start("").await;
    let mut cases = Vec::new();
    for (name, fields) in [
        (
            "length first",
            "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "encoding first",
            "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        ),
        (
            "length around",
            "Content-Length: 6\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        ),
        (
            "no length",
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        ),
    ] {
        // By its chunks it ends before the smuggled request, by its length within it or before.
        cases.push(
            Case::new(name, post(fields, &format!("0\r\n\r\n{SMUGGLED}")))
                .answered(&[200])
                .reaches("POST /a")
                .contains("POST /a 0")
                .then(Then::Closed),
        );
        // A request that goes on after its length must arrive as its chunks say.
        cases.push(
            Case::new(
                name,
                post(
                    fields,
                    &format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len()),
                ),
            )
            .answered(&[200])
            .reaches("POST /a")
            .contains(&format!("POST /a {}", SMUGGLED.len()))
            .then(Then::Closed),
        );
    }
    for (name, fields) in [
        (
            "a bad length with an encoding",
            "Content-Length: x\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "a length with an unknown encoding",
            "Content-Length: 3\r\nTransfer-Encoding: xchunked\r\n",
        ),
        (
            "a length with two encodings",
            "Content-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n",
        ),
    ] {
        cases.push(Case::new(name, post(fields, &format!("0\r\n\r\n{SMUGGLED}"))).refused(&[400]));
    }
    bench.run(cases).await;
}

/// A bad chunk is found when the head may already be with the upstream, which then sees the request break off; it never sees it end.
#[tokio::test]
async fn chunks() {
    let bench = Bench::start("").await;
    let fields = "Transfer-Encoding: chunked\r\n";
    let passed = [
        ("one", "3\r\nabc\r\n0\r\n\r\n", 3),
        ("two", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", 3),
        ("zeros before", "0003\r\nabc\r\n000\r\n\r\n", 3),
        ("capitals", "A\r\n0123456789\r\n0\r\n\r\n", 10),
        ("an extension", "3;x=y\r\nabc\r\n0;z\r\n\r\n", 3),
        ("a quoted extension", "3;x=\"y;z\"\r\nabc\r\n0\r\n\r\n", 3),
        ("a trailer", "3\r\nabc\r\n0\r\nX-Checksum: 1\r\n\r\n", 3),
    ];
    let passed = passed.map(|(name, body, length)| {
        Case::new(name, post(fields, body))
            .passes("POST /a")
            .contains(&format!("POST /a {length}"))
            .then(Then::Kept)
    });
    let long = "x".repeat(20_000);
    let refused = [
        ("no number", "x\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("empty size", "\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("negative", "-3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("signed", "+3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("with 0x", "0x3\r\nabc\r\n0\r\n\r\n".to_owned()),
        (
            "65 bits",
            "10000000000000000\r\nabc\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "65 bits that end small",
            "10000000000000003\r\nabc\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "many digits",
            format!("{}\r\nabc\r\n0\r\n\r\n", "f".repeat(100)),
        ),
        ("space before the size", " 3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a comma", "3,3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("no CR LF after the chunk", "3\r\nabc0\r\n\r\n".to_owned()),
        (
            "longer than its size",
            "3\r\nabcdef\r\n0\r\n\r\n".to_owned(),
        ),
        ("lone LF after the chunk", "3\r\nabc\n0\r\n\r\n".to_owned()),
        ("lone LF after the size", "3\nabc\r\n0\r\n\r\n".to_owned()),
        ("lone CR after the size", "3\rabc\r\n0\r\n\r\n".to_owned()),
        (
            "lone LF in an extension",
            "3;x\ny\r\nabc\r\n0\r\n\r\n".to_owned(),
        ),
        ("a giant extension", format!("3;{long}\r\nabc\r\n0\r\n\r\n")),
        (
            "many extensions",
            format!(
                "{}0\r\n\r\n",
                format!("1;{}\r\na\r\n", "x".repeat(900)).repeat(40)
            ),
        ),
        ("a giant trailer", format!("0\r\nX: {long}{long}\r\n\r\n")),
        (
            "many trailers",
            format!("0\r\n{}\r\n", "X: y\r\n".repeat(5000)),
        ),
        ("a trailer without a colon", "0\r\nX\r\n\r\n".to_owned()),
        ("a trailer with a NUL", "0\r\nX: \0\r\n\r\n".to_owned()),
    ];
    let refused = refused.map(|(name, body)| {
        Case::new(name, post(fields, &format!("{body}{SMUGGLED}"))).refused(&[400, 413, 431])
    });
    // Nothing reaches the upstream whole; a request that was begun and broke off there is not counted.
    bench.run(passed.into_iter().chain(refused)).await;
}

/// What breaks off comes to the upstream as what breaks off.
#[tokio::test]
async fn bodies_that_break_off() {
    let bench = Bench::start("").await;
    let cases = [
        Case::new("fixed", post("Content-Length: 5\r\n", "abc")).half_close(),
        Case::new(
            "chunked, between",
            post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"),
        )
        .half_close(),
        Case::new(
            "chunked, within",
            post("Transfer-Encoding: chunked\r\n", "5\r\nabc"),
        )
        .half_close(),
        Case::new(
            "chunked, within a size",
            post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n1"),
        )
        .half_close(),
        Case::new(
            "chunked, before the last empty line",
            post("Transfer-Encoding: chunked\r\n", "0\r\n"),
        )
        .half_close(),
        Case::new(
            "chunked, in the trailers",
            post("Transfer-Encoding: chunked\r\n", "0\r\nX: y\r\n"),
        )
        .half_close(),
        Case::new("in the head", "POST /a HTTP/1.1\r\nHost: a\r\nX").half_close(),
    ];
    bench.run(cases).await;
}

/// Trailers are merged into the headers by some servers.
#[tokio::test]
async fn trailers_bring_in_nothing_that_was_checked_before() {
    let bench = Bench::start("").await;
    let trailers = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\
                    Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nAuthorization: Basic x\r\nCookie: a=b\r\nConnection: close\r\n\
                    X-Request-ID: 1\r\nX-Checksum: 1\r\n";
    let request = post(
        "Trailer: X-Checksum, Host, Content-Length, Transfer-Encoding, X-Forwarded-For, X_Forwarded_For, Forwarded, X-Real-IP, \
         Authorization, Cookie, Connection, X-Request-ID\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n",
        &format!("3\r\nabc\r\n0\r\n{trailers}\r\n"),
    );
    let mut connection = crate::support::connection::Connection::to(bench.gateway.http).await;
    connection.send(request.as_bytes()).await;
    let answer = connection.answer(false).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let got = bench.reached().await.unwrap();
    assert_eq!(got.len(), 1, "{got:?}");
    let forged = got[0]
        .trailers
        .iter()
        .find(|(name, _)| !name.eq_ignore_ascii_case("x-checksum"));
    assert_eq!(forged, None);
}
