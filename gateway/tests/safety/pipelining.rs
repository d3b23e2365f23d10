//! Several requests in one write: answered in order, and a bad one ends it.

use crate::support::case::{Bench, Case, Then};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[tokio::test]
async fn pipelines() {
    let bench = Bench::start("").await;
    let cases = [
        Case::new("three", [get("/1"), get("/2"), get("/3")].concat())
            .passes("GET /1")
            .passes("GET /2")
            .passes("GET /3")
            .contains("GET /3 0")
            .then(Then::Kept),
        Case::new(
            "with bodies",
            "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             1\r\na\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .passes("POST /1")
        .passes("POST /2")
        .passes("GET /3")
        .then(Then::Kept),
        Case::new("poisoned second", [&get("/1"), "GET /2 HTTP/1.1\r\nX y\r\n\r\n", &get("/3")].concat())
            .passes("GET /1")
            .refused(&[400]),
        Case::new(
            "second with two encodings",
            [
                &get("/1"),
                "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
                &get("/3"),
            ]
            .concat(),
        )
        .passes("GET /1")
        .refused(&[400]),
        // Each is a whole request, so a refused one is skipped and the next is answered.
        Case::new("second with a bad path", [get("/1"), get("/../2"), get("/3")].concat())
            .passes("GET /1")
            .answered(&[400])
            .passes("GET /3")
            .then(Then::Kept),
        Case::new(
            "the end is wished for by the first",
            ["GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &get("/2")].concat(),
        )
        .passes("GET /1")
        .then(Then::Closed),
        Case::new(
            "the end is wished for in a second line",
            [
                "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
                &get("/2"),
            ]
            .concat(),
        )
        .passes("GET /1")
        .then(Then::Closed),
        Case::new("HTTP/1.0 ends", ["GET /1 HTTP/1.0\r\n\r\n", &get("/2")].concat())
            .passes("GET /1")
            .then(Then::Closed),
        Case::new("nonsense after a request", format!("{}nonsense\r\n\r\n", get("/1")))
            .passes("GET /1")
            .refused(&[400]),
    ];
    bench.run(cases).await;
}
