//! One worker's side of an upstream: its connections, and the choice among endpoints.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Instant};

use http::HeaderValue;

use super::{host, pool::Http1Pool};
use crate::config::model::{Discovery, Limits, Upstream};

/// An upstream of one worker.
#[derive(Debug)]
pub struct Local {
    /// As it was configured.
    pub config: Arc<Upstream>,
    endpoints: Vec<LocalEndpoint>,
    next: Cell<usize>,
}

/// An endpoint of one worker.
#[derive(Debug)]
pub struct LocalEndpoint {
    /// What stands in `Host`.
    pub host: HeaderValue,
    /// Its connections.
    pub pool: Rc<Http1Pool>,
}

impl Local {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(config: Arc<Upstream>, limits: &Limits) -> Self {
        let endpoints = match &config.discovery {
            Discovery::Static(endpoints) => endpoints.as_slice(),
            _ => &[],
        };
        let endpoints = endpoints
            .iter()
            .map(|endpoint| LocalEndpoint {
                host: host::of(endpoint),
                pool: Rc::new(Http1Pool::new(endpoint.clone(), config.pool, limits)),
            })
            .collect();
        Self {
            config,
            endpoints,
            next: Cell::new(0),
        }
    }

    /// Where the next request goes.
    #[must_use]
    pub fn pick(&self) -> Option<&LocalEndpoint> {
        let next = self.next.get();
        self.next.set(next.wrapping_add(1));
        self.endpoints.get(next.checked_rem(self.endpoints.len())?)
    }

    /// Closes what has been idle for too long.
    pub fn sweep(&self, now: Instant) {
        for endpoint in &self.endpoints {
            endpoint.pool.sweep(now);
        }
    }
}
