//! Finding out in the background whether an upstream is back, so that no user waits for a trial that fails.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, uri::PathAndQuery},
};
use http_body_util::{BodyExt, Limited};
use service_kit::{client::HttpClient, resilience::Policy};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, ServiceExt};
use tower_breaker::{
    CircuitBreaker,
    classify::{HttpStatus, Verdict},
};

/// For an upstream whose calls have no time-out.
const LIMIT: Duration = Duration::from_secs(1);
/// What is read of an answer at most.
const LARGEST: usize = 1024 * 1024;

/// Asks for one path of an upstream after each open wait of its circuit.
#[derive(Debug, Clone)]
pub struct Prober {
    breaker: CircuitBreaker,
    http: HttpClient,
    path: PathAndQuery,
    limit: Duration,
}

impl Prober {
    /// `None` for an upstream without a circuit, which never needs one.
    #[must_use]
    pub fn new(policy: &Policy, http: HttpClient, path: PathAndQuery) -> Option<Self> {
        Some(Self {
            breaker: policy.breaker.clone()?,
            http,
            path,
            // A probe that takes longer than a call may take would be followed by calls that fail.
            limit: policy.timeout.unwrap_or(LIMIT),
        })
    }

    /// Probes until the process stops.
    pub async fn run(self, stop: CancellationToken) {
        let check = || async {
            match tokio::time::timeout(self.limit, self.ask()).await {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(_)) | Err(_) => Verdict::Failure,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            never = self.breaker.probe_forever(check) => match never {},
        }
    }

    /// The answer is read to its end: an upstream whose bodies break off is not back.
    async fn ask(&self) -> Result<Verdict, BoxError> {
        let request = Request::get(self.path.as_str()).body(Body::empty())?;
        let response = self.http.clone().oneshot(request).await?;
        if HttpStatus::is_failure(response.status()) {
            return Ok(Verdict::Failure);
        }
        Limited::new(response.into_body(), LARGEST)
            .collect()
            .await?;
        Ok(Verdict::Success)
    }
}
