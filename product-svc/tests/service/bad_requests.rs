//! Rubbish in, a specific answer out.

use crate::support::{Request, Service, raw};

const CATALOG: &[&str] = &["--config", "config/catalog.toml"];

#[tokio::test]
async fn ids_that_are_not_positive_integers() {
    let service = Service::start(CATALOG).await;
    for id in [
        "0",
        "-1",
        "+1",
        "1.5",
        "1e0",
        "01",
        "abc",
        "1a",
        "%20",
        "1%20",
        "%zz",
        "%",
        "%ff",
        "%00",
        "1%2F2",
        "null",
        "9223372036854775808",
        "99999999999999999999999",
        "%EF%BC%91",
        "1;drop",
        "..%2f1",
        "'",
    ] {
        for (route, parameter) in [("products", "id"), ("recommendations", "product_id")] {
            let path = format!("/{route}/{id}");
            let reply = service.get(&path).await;
            let detail = reply.problem(400);
            assert!(
                detail.contains(&format!("`{parameter}`")),
                "{path}: {detail}"
            );
            assert_eq!(reply.json()["parameter"], parameter, "{path}");
            if id != "%ff" {
                assert!(
                    detail.contains("an integer from 1 to 9223372036854775807"),
                    "{path}: {detail}"
                );
            }
        }
    }
}

#[tokio::test]
async fn ids_of_no_product() {
    let service = Service::start(CATALOG).await;
    for path in ["/products/6", "/recommendations/6", "/products/6?limit=1"] {
        assert_eq!(
            service.get(path).await.problem(404),
            "There is no product with the id 6",
            "{path}"
        );
    }
    let last = service.get("/products/9223372036854775807").await;
    assert_eq!(
        last.problem(404),
        "There is no product with the id 9223372036854775807"
    );
}

#[tokio::test]
async fn paths_that_do_not_exist() {
    let service = Service::start(CATALOG).await;
    for path in [
        "/",
        "//",
        "/product",
        "/products/",
        "/products/1/",
        "/products/1/2",
        "//products",
        "/Products",
        "/products%2F1",
        "/recommendations",
        "/recommendations/",
        "/../products",
        "/%2e%2e/etc/passwd",
        "/%zz",
        "/%ff",
        "/metrics",
        "/readyz",
        "/livez",
        "/breakers",
        "/fail",
        "/products;v=1",
        "/*",
    ] {
        assert_eq!(service.get(path).await.problem(404), "Not Found", "{path}");
    }
    let long = format!("/{}", "x".repeat(8_000));
    assert_eq!(service.get(&long).await.problem(404), "Not Found");
}

#[tokio::test]
async fn queries_out_of_bounds() {
    let service = Service::start(CATALOG).await;
    for (path, said) in [
        (
            "/products?limit=0",
            "limit: found \"0\", allowed: an integer from 1 to 1000",
        ),
        (
            "/products?limit=1001",
            "limit: found \"1001\", allowed: an integer from 1 to 1000",
        ),
        (
            "/products?limit=",
            "limit: found \"\", allowed: an integer from 1 to 1000",
        ),
        (
            "/products?limit",
            "limit: found \"\", allowed: an integer from 1 to 1000",
        ),
        (
            "/products?limit=-1",
            "limit: found \"-1\", allowed: an integer from 1 to 1000",
        ),
        (
            "/products?limit=+1",
            "limit: found \" 1\", allowed: an integer from 1 to 1000",
        ),
        (
            "/products?limit=ten",
            "limit: found \"ten\", allowed: an integer from 1 to 1000",
        ),
        ("/products?limit=1&limit=2", "duplicate field `limit`"),
        (
            "/products?offset=-1",
            "offset: found \"-1\", allowed: an integer from 0 to 1000000000",
        ),
        (
            "/products?offset=1e3",
            "offset: found \"1e3\", allowed: an integer from 0 to 1000000000",
        ),
        ("/products?limit=%zz", "percent escape"),
        ("/products?x=%", "percent escape"),
        ("/products?x=%ff", "percent escape"),
        (
            "/recommendations/1?limit=0",
            "limit: found \"0\", allowed: an integer from 1 to 100",
        ),
        (
            "/recommendations/1?limit=101",
            "limit: found \"101\", allowed: an integer from 1 to 100",
        ),
        ("/recommendations/1?%a", "percent escape"),
    ] {
        let detail = service.get(path).await.problem(400);
        assert!(detail.contains(said), "{path}: {detail}");
    }
}

#[tokio::test]
async fn methods_that_do_not_fit() {
    let service = Service::start(CATALOG).await;
    for path in [
        "/health",
        "/products",
        "/products/1",
        "/product/health",
        "/recommendations/1",
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
            let reply = Request::new(method, path)
                .body("{}")
                .send(service.http)
                .await;
            reply.problem(405);
            let mut allowed: Vec<_> = reply
                .header("allow")
                .unwrap()
                .split(',')
                .map(str::trim)
                .collect();
            allowed.sort_unstable();
            assert_eq!(allowed, ["GET", "HEAD"], "{method} {path}");
        }
    }
    for path in ["/fail/on", "/fail/off"] {
        let reply = service.get(path).await;
        reply.problem(405);
        assert_eq!(reply.header("allow"), Some("POST"), "{path}");
    }
    // A wrong method on an unknown path is an unknown path.
    assert_eq!(
        Request::new("DELETE", "/nothing")
            .send(service.http)
            .await
            .problem(404),
        "Not Found"
    );
}

#[tokio::test]
async fn bodies_beyond_the_limit() {
    let service = Service::start(&[CATALOG, &["--set", "max_body=1KiB"]].concat()).await;
    let reply = Request::new("POST", "/fail/on")
        .body(vec![b'x'; 4096])
        .send(service.http)
        .await;
    reply.problem(413);
    assert_eq!(
        service.get("/products/1").await.status,
        200,
        "a refused request must not turn the faults on"
    );
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_the_service_lives_on() {
    let service = Service::start(CATALOG).await;
    let endless_header = format!(
        "GET /health HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "y".repeat(1 << 20)
    );
    let endless_path = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "z".repeat(1 << 17));
    let many_headers = format!(
        "GET /health HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "a: b\r\n".repeat(10_000)
    );
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this was TLS\r\n\r\n"[..],
        b"GET /products/\x00\x01 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET products HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /products HTTP/9.9\r\nhost: x\r\n\r\n",
        b"POST /fail/on HTTP/1.1\r\nhost: x\r\ncontent-length: nonsense\r\n\r\n",
        endless_header.as_bytes(),
        endless_path.as_bytes(),
        many_headers.as_bytes(),
    ] {
        let answer = raw(service.http, bytes).await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
        // The server may reset the connection before a client that still sends has read its answer.
        assert!(
            answer.is_empty()
                || answer.starts_with("HTTP/1.1 4")
                || answer.starts_with("HTTP/1.0 4"),
            "{shown}: {answer}"
        );
        assert!(
            !answer.contains("panicked") && !answer.contains("src/"),
            "{shown}: {answer}"
        );
        assert_eq!(
            service.get("/products/1").await.status,
            200,
            "after {shown}"
        );
    }
}
