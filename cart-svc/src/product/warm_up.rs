//! Fills the cache before the first outage.

use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use tokio::time;
use tower::Service;
use tower_breaker::BoxError;

use super::{ProductCache, ProductClient};

/// The first wait between attempts; each further one doubles.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The longest wait between attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Asks for the whole catalog until it gets it.
///
/// It goes past the guards: it runs once, waits between attempts by itself, and must not count as user traffic in a breaker.
#[derive(Debug, Clone)]
pub struct WarmUp<H> {
    client: ProductClient<H>,
    cache: ProductCache,
    attempt_limit: Duration,
}

impl<H, B> WarmUp<H>
where
    H: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Clone,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    /// Fills `cache` through `client`, giving each attempt `attempt_limit`.
    pub fn new(
        client: ProductClient<H>,
        cache: ProductCache,
        attempt_limit: Duration,
    ) -> WarmUp<H> {
        WarmUp {
            client,
            cache,
            attempt_limit,
        }
    }

    /// One attempt. Returns how many products it remembered.
    pub async fn attempt(&self) -> Result<usize, BoxError> {
        let products = time::timeout(self.attempt_limit, self.client.catalog()).await??;
        let count = products.len();
        for product in products {
            self.cache.remember(product);
        }
        tracing::info!(products = count, "the product cache is warm");
        Ok(count)
    }

    /// Attempts until one succeeds, waiting longer each time.
    pub async fn run(self) {
        let mut wait = FIRST_WAIT;
        loop {
            // Half fixed, half random: many carts that start together must not ask together.
            time::sleep(wait / 2 + wait.mul_f64(fastrand::f64() / 2.0)).await;
            match self.attempt().await {
                Ok(_) => return,
                Err(error) => tracing::debug!(%error, "the product cache is still cold"),
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}
