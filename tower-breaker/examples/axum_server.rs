//! An axum server that protects itself from its own slow handler: after three failures in a row the circuit opens, and
//! requests are answered with `503`, `Retry-After` and problem+json at once.
//!
//! `cargo run -p tower-breaker --example axum_server`, then ask for `/report` and `/report?broken=true` at the address that
//! it prints.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::Duration;

use axum::{Router, extract::RawQuery, routing::get};
use http::StatusCode;
use tower_breaker::{
    Abandoned, BoxError, CircuitBreaker, CircuitBreakerLayer, classify::HttpStatus,
};

async fn report(RawQuery(query): RawQuery) -> Result<&'static str, StatusCode> {
    match query.as_deref() {
        Some("broken=true") => Err(StatusCode::INTERNAL_SERVER_ERROR),
        _ => Ok("all is well\n"),
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let breaker = CircuitBreaker::builder("report")
        .consecutive_failures(3)
        .open_for(Duration::from_secs(5))
        // Clients that hang up say nothing about the handler; without this, three in a row would open the circuit.
        .on_abandoned(Abandoned::Ignore)
        .listener(|change| {
            eprintln!(
                "{}: {} -> {} ({})",
                change.name, change.from, change.to, change.cause
            )
        })
        .build()?;
    let app = Router::new()
        .route("/report", get(report))
        // Refusals become responses, so the router's error type stays what axum asks for.
        .layer(
            CircuitBreakerLayer::new(breaker)
                .classify(HttpStatus)
                .respond(),
        );

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}/report", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
