//! One worker's side of an upstream: its connections, and the choice among endpoints.

use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use http::{HeaderValue, uri::Authority};

use super::{Shared, connect::Dial, host, pool::Pool};
use crate::{
    config::model::Limits,
    data::{
        endpoints::{
            Balancer, Endpoint, EndpointId, Moment, NoneAvailable, Picked, Reader, Wanted,
        },
        headers::Scratch,
    },
};

/// An upstream of one worker.
pub struct Local {
    /// What all workers share of it.
    pub shared: Arc<Shared>,
    limits: Limits,
    choice: RefCell<Choice>,
    nodes: RefCell<HashMap<EndpointId, Rc<Node>, BuildHasherDefault<ById>>>,
    /// Where header values are written.
    pub scratch: Rc<RefCell<Scratch>>,
}

struct Choice {
    reader: Reader,
    balancer: Balancer,
}

/// An endpoint of one worker.
#[derive(Debug)]
pub struct Node {
    /// What stands in `Host`.
    pub host: HeaderValue,
    /// The same for HTTP/2.
    pub authority: Option<Authority>,
    /// Whether it speaks TLS.
    pub https: bool,
    /// Its connections.
    pub pool: Pool,
}

impl Local {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(shared: Arc<Shared>, limits: &Limits, scratch: Rc<RefCell<Scratch>>) -> Self {
        Self {
            limits: limits.clone(),
            choice: RefCell::new(Choice {
                reader: shared.endpoints.reader(),
                balancer: Balancer::new(&shared.config.balancer),
            }),
            nodes: RefCell::default(),
            shared,
            scratch,
        }
    }

    /// Where the next request goes.
    ///
    /// # Errors
    /// No endpoint can take it.
    pub fn pick(&self, wanted: Wanted<'_>, now: Moment) -> Result<Picked, NoneAvailable> {
        let Choice { reader, balancer } = &mut *self.choice.borrow_mut();
        reader.pick(balancer, wanted, now)
    }

    /// This worker's side of an endpoint.
    #[must_use]
    pub fn node(&self, endpoint: &Endpoint) -> Rc<Node> {
        let mut nodes = self.nodes.borrow_mut();
        nodes
            .entry(endpoint.id())
            .or_insert_with(|| {
                let key = endpoint.key();
                let config = &self.shared.config;
                let dial = Dial {
                    endpoint: key.clone(),
                    protocol: config.protocol,
                    limit: config.pool.connect_timeout,
                    tls: self.shared.tls.clone(),
                };
                let host = host::of(key);
                Rc::new(Node {
                    authority: Authority::try_from(host.as_bytes()).ok(),
                    host,
                    https: key.https,
                    pool: Pool::new(dial, config.pool, &self.limits),
                })
            })
            .clone()
    }

    /// Closes what has been idle for too long, and what leads to endpoints that are gone.
    pub fn sweep(&self, now: Instant) {
        let set = self.shared.endpoints.load();
        self.nodes.borrow_mut().retain(|id, node| {
            node.pool.sweep(now);
            set.endpoints().any(|endpoint| endpoint.id() == *id)
        });
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local")
            .field("upstream", &self.shared.config.name)
            .finish_non_exhaustive()
    }
}

/// Endpoints are numbered one after the other by the gateway itself: a number is its own best hash, once its bits are spread.
#[derive(Debug, Default)]
struct ById(u64);

impl Hasher for ById {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing (Knuth, TAOCP vol. 3, section 6.4).
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
