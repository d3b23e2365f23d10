//! A hyper client behind a breaker and a time-out. The server is started here, fails for a while, and recovers.
//!
//! `cargo run -p tower-breaker --example hyper_client`

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_breaker::{BoxError, CircuitBreaker, CircuitBreakerLayer, Refused, classify::HttpStatus};

async fn start_server(broken: Arc<AtomicBool>) -> Result<String, BoxError> {
    let answer = move || async move {
        if broken.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        StatusCode::NO_CONTENT
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/stock", listener.local_addr()?);
    let app = Router::new().route("/stock", get(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let broken = Arc::new(AtomicBool::new(true));
    let url = start_server(broken.clone()).await?;

    let breaker = CircuitBreaker::builder("stock")
        .consecutive_failures(3)
        .open_for(Duration::from_millis(500))
        .build()?;
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breaker.clone()).classify(HttpStatus))
        .timeout(Duration::from_millis(200))
        .service(Client::builder(TokioExecutor::new()).build_http::<Body>());

    for call in 1..=20 {
        if call == 10 {
            broken.store(false, Ordering::Relaxed);
            println!("-- the server is well again");
        }
        let request = Request::get(&url).body(Body::empty())?;
        let what = match client.ready().await?.call(request).await {
            Ok(response) => format!("answered {}", response.status()),
            Err(err) => match Refused::find(&*err) {
                Some(refused) => format!("refused at once: {refused}"),
                None => format!("failed: {err}"),
            },
        };
        println!("call {call:2}  {:9}  {what}", breaker.state());
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    Ok(())
}
