//! Start, ready, drain, end.

use crate::support::{Request, Service, eventually, in_time, raw, run};
use tokio::net::{TcpListener, TcpStream};

const CATALOG: &[&str] = &["--config", "config/catalog.toml"];

async fn in_flight(service: &Service) -> bool {
    let metrics = service.get_ops("/metrics").await;
    metrics
        .text()
        .lines()
        .filter(|line| line.starts_with("http_server_requests_in_flight"))
        .any(|line| line.rsplit(' ').next().is_some_and(|value| value != "0"))
}

#[tokio::test]
async fn announces_itself_once_and_is_ready() {
    let service = Service::start(CATALOG).await;
    assert_eq!(service.announcement["event"], "listening");
    assert_eq!(service.announcement["service"], "product-svc");
    assert_ne!(service.http, service.ops);
    assert_eq!(service.get_ops("/livez").await.status, 200);
    assert_eq!(service.get_ops("/readyz").await.status, 200);
    service.get("/products").await;
    let metrics = service.get_ops("/metrics").await;
    assert!(
        metrics.text().contains("route=\"/products\""),
        "{}",
        metrics.text()
    );

    service.terminate().await;
    let finished = service.finished().await;
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert_eq!(
        finished.stdout, "",
        "nothing but the announcement goes to standard output"
    );
}

#[tokio::test]
async fn an_in_flight_request_is_finished_before_the_end() {
    let delays = [
        "--set",
        "faults.rule[0].delay=1s",
        "--set",
        "faults.rule[0].delay_max=1s",
    ];
    let service = Service::start(&[CATALOG, &delays].concat()).await;
    service.post("/fail/on").await;
    let http = service.http;
    let hanging = tokio::spawn(Request::get("/products/1").send(http));
    eventually("the request is being answered", || in_flight(&service)).await;

    service.terminate().await;
    eventually("new connections are refused", || async move {
        TcpStream::connect(http).await.is_err()
    })
    .await;
    assert!(!hanging.is_finished(), "the request was cut short");

    let reply = in_time("the request is answered", hanging).await.unwrap();
    reply.problem(503);
    let finished = service.finished().await;
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
}

#[tokio::test]
async fn what_does_not_end_by_itself_ends_at_the_drain_limit() {
    let delays = [
        "--set",
        "faults.rule[0].delay=1h",
        "--set",
        "faults.rule[0].delay_max=1h",
    ];
    let service =
        Service::start(&[CATALOG, &delays, &["--set", "drain.limit=100ms"]].concat()).await;
    service.post("/fail/on").await;
    let http = service.http;
    let hanging =
        tokio::spawn(async move { raw(http, b"GET /products HTTP/1.1\r\nhost: x\r\n\r\n").await });
    eventually("the request is being answered", || in_flight(&service)).await;

    service.terminate().await;
    let finished = service.finished().await;
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert_eq!(
        in_time("the connection is closed", hanging).await.unwrap(),
        ""
    );
}

#[tokio::test]
async fn ends_with_the_process_that_started_it() {
    let mut service = Service::start(CATALOG).await;
    service.close_stdin();
    assert_eq!(service.finished().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = holder.local_addr().unwrap();
    for (key, other) in [("listen", "ops.listen"), ("ops.listen", "listen")] {
        let set = format!("{key}={taken}");
        let free = format!("{other}=127.0.0.1:0");
        let finished = run(&["--set", &set, "--set", &free], &[]).await;
        assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
        assert_eq!(finished.stdout, "");
        let expected = format!("product-svc: cannot listen on {taken} (key `{key}`): address ");
        assert!(
            finished.stderr.contains(&expected),
            "{expected:?} in:\n{}",
            finished.stderr
        );
        assert!(finished.stderr.contains("in use"), "{}", finished.stderr);
    }
}
