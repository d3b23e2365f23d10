//! Requests by route, method and status class.

use super::metrics::{IN_FLIGHT, LATENCY, REQUESTS};
use ::metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use http::{Method, StatusCode};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// Counters and histograms per route, method and status class, looked up by label only once each.
pub struct RequestMetrics {
    in_flight: Gauge,
    routes: RwLock<HashMap<String, Arc<RouteMetrics>>>,
}

/// Those of one route. Looking a route up takes a lock, so a data plane that knows its routes keeps these.
pub struct RouteMetrics {
    route: String,
    handles: [[OnceLock<Handles>; CLASSES.len()]; METHODS.len()],
}

struct Handles {
    requests: Counter,
    latency: Histogram,
}

/// Labels must be few: what a client makes up is `OTHER`.
const METHODS: [&str; 8] = [
    "OTHER", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
];
const CLASSES: [&str; 6] = ["aborted", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl RequestMetrics {
    /// Counts to the process's recorder. In a service, after it has started.
    #[must_use]
    #[allow(
        clippy::new_without_default,
        reason = "it is not a value but a hold on the recorder"
    )]
    pub fn new() -> Self {
        Self {
            in_flight: gauge!(IN_FLIGHT),
            routes: RwLock::default(),
        }
    }

    /// A request is being answered.
    pub fn begun(&self) {
        self.in_flight.increment(1.0);
    }

    /// It is so no longer.
    pub fn ended(&self) {
        self.in_flight.decrement(1.0);
    }

    pub(crate) fn record(
        &self,
        method: &Method,
        route: &str,
        status: Option<StatusCode>,
        latency: Duration,
    ) {
        self.route(route).record(method, status, latency);
    }

    /// The handles of a route.
    #[must_use]
    pub fn route(&self, route: &str) -> Arc<RouteMetrics> {
        let known = self
            .routes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(route)
            .cloned();
        known.unwrap_or_else(|| {
            let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
            let made = || Arc::new(RouteMetrics::new(route));
            routes.entry(route.to_owned()).or_insert_with(made).clone()
        })
    }
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RouteMetrics").field(&self.route).finish()
    }
}

impl RouteMetrics {
    fn new(route: &str) -> Self {
        Self {
            route: route.to_owned(),
            handles: Default::default(),
        }
    }

    /// Its name, as in the metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.route
    }

    /// One request was answered so, or was given up by its client.
    pub fn record(&self, method: &Method, status: Option<StatusCode>, latency: Duration) {
        let method = METHODS
            .iter()
            .position(|known| *known == method.as_str())
            .unwrap_or(0);
        let class = status
            .map_or(0, |status| usize::from(status.as_u16() / 100))
            .min(CLASSES.len() - 1);
        let Some(slot) = self
            .handles
            .get(method)
            .and_then(|classes| classes.get(class))
        else {
            return;
        };
        let handles = slot.get_or_init(|| {
            let labels = [
                ("route", self.route.clone()),
                ("method", METHODS[method].to_owned()),
                ("status", CLASSES[class].to_owned()),
            ];
            Handles {
                requests: counter!(REQUESTS, &labels),
                latency: histogram!(LATENCY, &labels),
            }
        });
        handles.requests.increment(1);
        handles.latency.record(latency.as_secs_f64());
    }
}
