//! Upstreams that break the rules: the client gets a 502 of the gateway's own, or sees that an answer breaks off; never a whole answer that
//! was none, and never the answer to somebody else's request.

use crate::support::{
    case::{Bench, Case, Then},
    connection::Connection,
    message::Message,
    upstream::Reply,
};

/// Not idempotent, so that it is sent once whatever happens.
const ASK: &str = "POST /a HTTP/1.1\r\nHost: a\r\n\r\n";

fn bad(name: &str, reply: Reply) -> Case {
    Case::new(name, ASK)
        .reply(reply)
        .answered(&[502])
        .reaches("POST /a")
        .then(Then::Kept)
}

fn good(name: &str, reply: &str) -> Case {
    Case::new(name, ASK)
        .reply(Reply::bytes(reply))
        .passes("POST /a")
        .then(Then::Kept)
}

#[tokio::test]
async fn heads() {
    let bench = Bench::start("").await;
    let last = Reply::last;
    let cases = [
        bad("nothing", last("")),
        bad("garbage", last("\0\x01\x02garbage\r\n\r\n")),
        bad("garbage that goes on", Reply::Bytes(vec![0xff; 100_000])),
        bad("another protocol", last("SSH-2.0-OpenSSH_9.6\r\n")),
        bad("no version", last("200 OK\r\nContent-Length: 0\r\n\r\n")),
        bad(
            "HTTP/2.0",
            last("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ),
        bad("HTTP/0.9", last("<html></html>\r\n\r\n")),
        bad(
            "a status of two digits",
            last("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
        ),
        bad(
            "a status of four digits",
            last("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
        ),
        bad(
            "a status of letters",
            last("HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
        ),
        bad(
            "a status below 100",
            last("HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
        ),
        bad(
            "two status lines",
            last("HTTP/1.1 200 OK\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        ),
        bad("a broken head", last("HTTP/1.1 200 OK\r\nContent-Le")),
        bad(
            "no colon",
            last("HTTP/1.1 200 OK\r\nX\r\nContent-Length: 0\r\n\r\n"),
        ),
        bad(
            "space before the colon",
            last("HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 0\r\n\r\n"),
        ),
        bad(
            "a NUL",
            last("HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n"),
        ),
        bad(
            "a folded field",
            last("HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 0\r\n\r\n"),
        ),
        bad(
            "a lone CR",
            last("HTTP/1.1 200 OK\r\nX: y\rSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"),
        ),
        bad("a request", last("GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
    ];
    bench.run(cases).await;
}

#[tokio::test]
async fn framings() {
    let bench = Bench::start("").await;
    let answer =
        |fields: &str, body: &str| Reply::last(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}"));
    let chunks = "2\r\nok\r\n0\r\n\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let cases = [
        good("length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").contains("ok"),
        good(
            "chunks",
            &format!("HTTP/1.1 200 OK\r\n{chunked}\r\n{chunks}"),
        )
        .contains("ok"),
        Case::new("the end of the connection", ASK)
            .reply(Reply::last("HTTP/1.1 200 OK\r\n\r\nok"))
            .passes("POST /a")
            .contains("ok"),
        Case::new("HTTP/1.0", ASK)
            .reply(Reply::last("HTTP/1.0 200 OK\r\n\r\nok"))
            .passes("POST /a")
            .contains("ok"),
        bad(
            "both",
            answer(&format!("Content-Length: 2\r\n{chunked}"), chunks),
        ),
        bad(
            "both, encoding first",
            answer(&format!("{chunked}Content-Length: 2\r\n"), chunks),
        ),
        bad(
            "two lengths",
            answer("Content-Length: 2\r\nContent-Length: 3\r\n", "ok"),
        ),
        bad(
            "two equal lengths",
            answer("Content-Length: 2\r\nContent-Length: 2\r\n", "ok"),
        ),
        bad("listed lengths", answer("Content-Length: 2, 2\r\n", "ok")),
        bad("a negative length", answer("Content-Length: -2\r\n", "ok")),
        bad("a signed length", answer("Content-Length: +2\r\n", "ok")),
        bad(
            "a length of more than 64 bits",
            answer("Content-Length: 99999999999999999999\r\n", "ok"),
        ),
        bad("twice chunked", answer(&chunked.repeat(2), chunks)),
        bad(
            "gzip, chunked",
            answer("Transfer-Encoding: gzip, chunked\r\n", chunks),
        ),
        bad("gzip", answer("Transfer-Encoding: gzip\r\n", "ok")),
        bad(
            "chunked, gzip",
            answer("Transfer-Encoding: chunked, gzip\r\n", chunks),
        ),
        bad(
            "chunks in HTTP/1.0",
            Reply::last(&format!("HTTP/1.0 200 OK\r\n{chunked}\r\n{chunks}")),
        ),
    ];
    bench.run(cases).await;
}

/// As long as nothing has been sent to the client, a broken body is a 502 as a broken head is.
#[tokio::test]
async fn a_bad_first_chunk() {
    let bench = Bench::start("").await;
    let first = |chunk: &str| {
        Reply::last(&format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
        ))
    };
    let cases = [
        bad("no number", first("xyz\r\nok\r\n0\r\n\r\n")),
        bad("negative", first("-2\r\nok\r\n0\r\n\r\n")),
        bad("an overflow", first("10000000000000000\r\nok\r\n0\r\n\r\n")),
        bad("lone LF", first("2\nok\n0\n\n")),
    ];
    bench.run(cases).await;
}

/// What breaks off at the upstream breaks off at the client: no clean end.
#[tokio::test]
async fn truncated_bodies() {
    let bench = Bench::start("").await;
    for (name, reply) in [
        ("length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        (
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ),
        (
            "within a chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        ),
        (
            "nothing of the chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "before the last empty line",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        ),
        (
            "a bad second chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n",
        ),
        (
            "a chunk that goes on",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        ),
    ] {
        bench.upstream.reply(Reply::last(reply));
        let mut connection = Connection::to(bench.gateway.http).await;
        connection.send(ASK.as_bytes()).await;
        match connection.answer(false).await {
            // Said while there was time.
            Ok(Some(answer)) if answer.status() == 502 => {}
            // Seen by what is missing.
            Ok(Some(answer)) => {
                assert!(!answer.is_whole, "{name}: {answer:?}");
                assert!(connection.ended().await.unwrap().is_empty(), "{name}");
            }
            Ok(None) => {}
            Err(why) => assert!(connection.closed, "{name}: {why}"),
        }
        let got = bench
            .reached()
            .await
            .unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(got.len(), 1, "{name}: {got:?}");
    }
}

/// An answer that says it has no body has none, and what follows it is nobody's answer.
#[tokio::test]
async fn bodies_where_none_may_be() {
    let bench = Bench::start("").await;
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nX-Poison: 1\r\n\r\npoisoned";
    let cases = [
        Case::new("of HEAD", "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n")
            .of_head()
            .reply(Reply::bytes(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{poison}", poison.len())))
            .passes("HEAD /a")
            .then(Then::Any),
        Case::new("of 204", ASK)
            .reply(Reply::bytes(&format!("HTTP/1.1 204 No Content\r\nContent-Length: {}\r\n\r\n{poison}", poison.len())))
            .answered(&[204])
            .reaches("POST /a"),
        Case::new("of 204 in chunks", ASK)
            .reply(Reply::bytes(&format!("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{poison}\r\n0\r\n\r\n", poison.len())))
            .answered(&[204, 502])
            .reaches("POST /a"),
        Case::new("of 304", "GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
            .reply(Reply::bytes(&format!("HTTP/1.1 304 Not Modified\r\nContent-Length: {}\r\n\r\n{poison}", poison.len())))
            .answered(&[304])
            .reaches("GET /a"),
        Case::new("more than its length", ASK)
            .reply(Reply::bytes(&format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{poison}")))
            .passes("POST /a")
            .contains("ok"),
        Case::new("more than its chunks", ASK)
            .reply(Reply::bytes(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{poison}")))
            .passes("POST /a")
            .contains("ok"),
    ];
    // After each, requests on new and old connections get their own answers: the bench checks it.
    bench.run(cases).await;
    for round in 0..5 {
        bench.upstream.reply(Reply::bytes(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{poison}"
        )));
        let mut connection = Connection::to(bench.gateway.http).await;
        for _ in 0..3 {
            connection.send(ASK.as_bytes()).await;
            let answer = connection.answer(false).await.unwrap().unwrap();
            assert!(
                answer.field("x-poison").is_none(),
                "round {round}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn informational_answers() {
    let bench = Bench::start("").await;
    let end = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let cases = [
        good(
            "100 that nobody waited for",
            &format!("HTTP/1.1 100 Continue\r\n\r\n{end}"),
        )
        .contains("ok"),
        good(
            "102 and 103",
            &format!(
                "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{end}"
            ),
        )
        .contains("ok"),
        good(
            "many",
            &format!("{}{end}", "HTTP/1.1 100 Continue\r\n\r\n".repeat(50)),
        )
        .contains("ok"),
        bad(
            "and then nothing",
            Reply::last("HTTP/1.1 100 Continue\r\n\r\n"),
        ),
        bad(
            "101 after 100",
            Reply::last(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            ),
        ),
        bad(
            "a broken one",
            Reply::last("HTTP/1.1 100 Continue\r\nX\r\n\r\n"),
        ),
    ];
    bench.run(cases).await;
}

/// An answer before the request is complete reaches the client, whatever becomes of the rest.
#[tokio::test]
async fn an_early_answer() {
    // Answers once the head is there.
    let bench = Bench::start("").await;
    bench.upstream.reply(Reply::Tunnel(
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno".to_vec(),
    ));
    let mut connection = Connection::to(bench.gateway.http).await;
    connection.send(ASK.as_bytes()).await;
    let answer: Message = connection.answer(false).await.unwrap().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (403, "no"));
}
