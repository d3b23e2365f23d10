//! What all workers share.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::Router;
use service_kit::telemetry::{RequestMetrics, RouteMetrics};

use super::{retry, route::RouteTable, upstream::Shared};
use crate::config::model::{Forwarding, Limits, Policy};

/// Everything a worker is made from.
pub struct Plane {
    /// Which requests go where; what answers stands in [`targets`](Self::targets).
    pub routes: RouteTable<usize>,
    /// What answers.
    pub targets: Vec<Target>,
    /// Every upstream.
    pub upstreams: Vec<Arc<Shared>>,
    /// What the gateway answers itself.
    pub own: Router,
    /// Bounds on what clients may take.
    pub limits: Limits,
    /// What upstreams are told of clients.
    pub forwarding: Forwarding,
    /// Whether requests are logged.
    pub access_log: bool,
    /// Where they are counted.
    pub metrics: Arc<RequestMetrics>,
    /// Client connections.
    pub connections: Connections,
}

/// A route's end.
pub struct Target {
    /// Its name and what is counted under it.
    pub metrics: Arc<RouteMetrics>,
    /// Who answers.
    pub by: AnsweredBy,
}

/// Who answers a route's requests.
#[derive(Debug)]
pub enum AnsweredBy {
    /// The gateway itself.
    Own,
    /// An upstream, by its place in [`Plane::upstreams`], through these guards.
    Upstream {
        /// Which.
        upstream: usize,
        /// Its guards.
        policy: Box<Policy>,
        /// Its retries, whose budget all workers share.
        retry: Option<retry::Policy>,
    },
}

/// Counts client connections over all workers.
#[derive(Debug)]
pub struct Connections {
    open: AtomicUsize,
    at_most: usize,
}

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new(at_most: usize) -> Self {
        Self {
            open: AtomicUsize::new(0),
            at_most,
        }
    }

    /// Counts one more, unless there are too many. Its end has to be told to [`closed`](Self::closed).
    pub fn open(&self) -> bool {
        if self.open.fetch_add(1, Ordering::Relaxed) < self.at_most {
            return true;
        }
        self.closed();
        false
    }

    /// One has ended.
    pub fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}
