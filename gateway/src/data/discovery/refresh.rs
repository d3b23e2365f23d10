//! The loop that every source runs in: ask, publish what is new, wait, ask again. Whatever goes wrong, the last good answer stays:
//! nobody can tell a name server that is broken from an upstream that is gone, and of the two mistakes, to keep asking endpoints
//! that are gone is the one that health checks repair.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Publish,
    endpoint::{DiscoveredEndpoint, normalise},
    metrics::Metrics,
    schedule::{Holds, Retry, after_failure, after_success},
    status::Status,
};

/// What an attempt found.
#[derive(Debug)]
pub(super) struct Found {
    /// All of it, in any order.
    pub endpoints: Vec<DiscoveredEndpoint>,
    /// How long it holds.
    pub holds: Holds,
    /// Whether the source was reached: otherwise all of this is from before.
    pub fresh: bool,
    /// Why it is not the whole: the rest is from before, or missing.
    pub incomplete: Option<Failure>,
}

/// Why an attempt found nothing, in words for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure(Arc<str>);

impl Failure {
    pub(super) fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string().into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that can be asked where endpoints are. It bounds the time of an attempt itself.
pub(super) trait Source: Send + 'static {
    /// One attempt.
    fn look(&mut self) -> impl Future<Output = Result<Found, Failure>> + Send;

    /// How failed ones are repeated.
    fn retry(&self) -> Retry;
}

/// A source being followed.
pub(super) struct Refresh<P> {
    pub upstream: Arc<str>,
    pub publish: P,
    pub status: watch::Sender<Status>,
    pub metrics: Metrics,
    pub published: Option<Vec<DiscoveredEndpoint>>,
}

impl<P: Publish> Refresh<P> {
    /// Goes on until told to stop, or until there is nothing to ask any more.
    pub(super) async fn run(mut self, mut source: impl Source, stop: CancellationToken) {
        loop {
            // A panic, in whatever parses what the network says, costs one attempt and not the upstream.
            let attempt = AssertUnwindSafe(source.look()).catch_unwind();
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = attempt => result.unwrap_or_else(|_| Err(Failure::new("the attempt panicked"))),
            };
            let Some(wait) = self.take(result, source.retry()) else {
                return;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes a result in; returns how long to wait.
    fn take(&mut self, result: Result<Found, Failure>, retry: Retry) -> Option<Duration> {
        let chance = fastrand::f64();
        match result {
            Err(failure) => Some(after_failure(retry, self.failed(failure), chance)),
            Ok(found) => {
                let refresh = after_success(found.holds, chance);
                self.found(found.endpoints, found.fresh.then_some(found.holds));
                match found.incomplete {
                    None => {
                        self.recovered();
                        refresh
                    }
                    Some(failure) => {
                        let again = after_failure(retry, self.failed(failure), chance);
                        Some(refresh.map_or(again, |refresh| refresh.min(again)))
                    }
                }
            }
        }
    }

    /// `fresh` is `None` for what is only from before.
    fn found(&mut self, endpoints: Vec<DiscoveredEndpoint>, fresh: Option<Holds>) {
        let (endpoints, left_out) = normalise(endpoints);
        let number = endpoints.len();
        self.metrics.found(number, left_out, fresh.is_some());
        if self.published.as_ref() != Some(&endpoints) {
            let (upstream, of) = (&self.upstream, self.of());
            tracing::info!(%upstream, %of, endpoints = number, left_out, "endpoints changed");
            self.publish.publish(endpoints.clone());
            self.published = Some(endpoints);
        }
        // After publishing: whoever waits for the first answer goes on at this.
        self.status.send_modify(|status| {
            status.endpoints = number;
            status.left_out = left_out;
            let Some(holds) = fresh else {
                return;
            };
            let now = Instant::now();
            status.succeeded += 1;
            status.last_success = Some(now);
            status.expires = match holds {
                Holds::Until(ttl) => now.checked_add(ttl),
                Holds::Polled(_) | Holds::ForEver => None,
            };
        });
    }

    fn recovered(&mut self) {
        let failures = self.status.borrow().failures_in_a_row;
        if failures > 0 {
            let (upstream, of) = (&self.upstream, self.of());
            tracing::info!(%upstream, %of, failures, "finding endpoints works again");
            self.status.send_modify(|status| {
                status.failures_in_a_row = 0;
                status.last_error = None;
            });
        }
    }

    /// Returns how many failures in a row this makes.
    fn failed(&mut self, failure: Failure) -> u32 {
        self.metrics.failed();
        let before = self.status.borrow().clone();
        // The same failure again is not news: it is counted.
        if before.last_error.as_deref() != Some(&*failure.0) {
            let (upstream, of, kept) = (&self.upstream, &before.of, before.endpoints);
            let age = before.age(Instant::now());
            tracing::warn!(%upstream, %of, error = %failure, kept, ?age, "cannot find all endpoints, the last known ones stay");
        }
        let failures = before.failures_in_a_row.saturating_add(1);
        self.status.send_modify(|status| {
            status.failed += 1;
            status.failures_in_a_row = failures;
            status.last_error = Some(failure.0);
        });
        failures
    }

    fn of(&self) -> Arc<str> {
        Arc::clone(&self.status.borrow().of)
    }
}
