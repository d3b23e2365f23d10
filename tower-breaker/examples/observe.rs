//! A server whose guards are watched: `/metrics` for Prometheus, transitions and refusals as log events on standard error.
//!
//! `cargo run -p tower-breaker --example observe` prints its address; `/report?broken=true` fails, three times in a row open the circuit.
//! With `-- --check` it asks for all that itself, compares what it gets, and ends.

#![allow(clippy::print_stdout)]

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::RawQuery, routing::get};
use http::StatusCode;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tower_breaker::{
    BoxError, Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer,
    bulkhead::Waits,
    classify::HttpStatus,
    observe::{self, Guards, Metrics, RefusalLog},
};

async fn report(RawQuery(query): RawQuery) -> Result<&'static str, StatusCode> {
    match query.as_deref() {
        Some("broken=true") => Err(StatusCode::INTERNAL_SERVER_ERROR),
        _ => Ok("all is well\n"),
    }
}

fn app() -> Result<Router, BoxError> {
    let breaker = CircuitBreaker::builder("report")
        .consecutive_failures(3)
        .open_for(Duration::from_secs(5))
        .listener(observe::log_transition)
        .build()?;
    let bulkhead = Bulkhead::builder("report")
        .max_concurrent(64)
        .listener(observe::log_bulkhead_events(Duration::from_secs(10)))
        .build()?;

    let guards = Guards::new();
    guards.breaker(&breaker).bulkhead(&bulkhead);
    tokio::spawn(RefusalLog::new(guards.clone()).run(Duration::from_secs(1)));

    // Metrics of the rest of the program go to the same recorder.
    let waits = Matcher::Full("bulkhead_wait_seconds".into());
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(waits, &Waits::BOUNDS.map(|bound| bound.as_secs_f64()))?
        .install_recorder()?;
    let guard_metrics = Arc::new(Metrics::new(guards));
    let scrape = move || async move {
        guard_metrics.collect();
        prometheus.run_upkeep();
        prometheus.render()
    };

    // What is watched does not stand behind what it watches.
    let watched = Router::new()
        .route("/report", get(report))
        .layer(
            CircuitBreakerLayer::new(breaker)
                .classify(HttpStatus)
                .respond(),
        )
        .layer(BulkheadLayer::new(bulkhead).respond());
    Ok(watched.route("/metrics", get(scrape)))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let app = app()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    println!("http://{address}/report and http://{address}/metrics");
    let server = axum::serve(listener, app).into_future();
    if !std::env::args().any(|arg| arg == "--check") {
        return Ok(server.await?);
    }
    tokio::select! {
        ended = server => Err(format!("the server ended: {ended:?}").into()),
        checked = check::check(address) => checked,
    }
}

/// What a user of this server would see.
mod check {
    use std::net::SocketAddr;

    use http_body_util::{BodyExt, Empty};
    use hyper_util::{
        client::legacy::{Client, connect::HttpConnector},
        rt::TokioExecutor,
    };
    use tower_breaker::BoxError;

    struct Caller {
        client: Client<HttpConnector, Empty<&'static [u8]>>,
        address: SocketAddr,
    }

    impl Caller {
        async fn get(&self, path: &str) -> Result<(u16, String), BoxError> {
            let uri = format!("http://{}{path}", self.address).parse()?;
            let response = self.client.get(uri).await?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await?.to_bytes();
            Ok((status, String::from_utf8(body.into())?))
        }
    }

    pub async fn check(address: SocketAddr) -> Result<(), BoxError> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let caller = Caller { client, address };
        expect_metrics(
            &caller,
            &[
                r#"circuit_breaker_state{name="report",state="CLOSED"} 1"#,
                r#"circuit_breaker_refused_total{name="report",reason="circuit_open"} 0"#,
            ],
        )
        .await?;
        let paths = [
            ("/report", 200),
            ("/report?broken=true", 500),
            ("/report?broken=true", 500),
            ("/report?broken=true", 500),
            ("/report", 503),
            ("/report", 503),
        ];
        for (path, expected) in paths {
            let (status, _) = caller.get(path).await?;
            if status != expected {
                return Err(format!("{path} answered {status}, not {expected}").into());
            }
        }
        expect_metrics(
            &caller,
            &[
                r#"circuit_breaker_state{name="report",state="OPEN"} 1"#,
                r#"circuit_breaker_opened_total{name="report",cause="consecutive_failures"} 1"#,
                r#"circuit_breaker_calls_total{name="report",outcome="success"} 1"#,
                r#"circuit_breaker_calls_total{name="report",outcome="failure"} 3"#,
                r#"circuit_breaker_refused_total{name="report",reason="circuit_open"} 2"#,
                r#"bulkhead_admitted_total{name="report"} 6"#,
            ],
        )
        .await?;
        println!("all as expected");
        Ok(())
    }

    async fn expect_metrics(caller: &Caller, expected: &[&str]) -> Result<(), BoxError> {
        let (_, text) = caller.get("/metrics").await?;
        for line in expected {
            if !text.lines().any(|found| found == *line) {
                return Err(format!("no `{line}` in\n{text}").into());
            }
        }
        Ok(())
    }
}
