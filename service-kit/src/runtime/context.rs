//! What a service's `start` is given.

use super::{BreakerRegistry, Readiness};
use crate::faults::FaultSwitch;
use crate::resilience::Policy;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use tower_breaker::{Bulkhead, CircuitBreaker};

type Finish = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The addresses listened on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub http: SocketAddr,
    pub ops: SocketAddr,
}

/// A service's hold on its own process. Clones are one context.
#[derive(Clone)]
pub struct Context {
    bound: Bound,
    faults: FaultSwitch,
    readiness: Readiness,
    registry: BreakerRegistry,
    shutdown: CancellationToken,
    finishes: Arc<Mutex<Vec<Finish>>>,
    listener: Arc<Mutex<Option<std::net::TcpListener>>>,
    further: Arc<Mutex<Vec<(String, SocketAddr)>>>,
}

impl Context {
    pub(crate) fn new(bound: Bound, faults: FaultSwitch, shutdown: CancellationToken) -> Self {
        Self {
            bound,
            faults,
            readiness: Readiness::new(),
            registry: BreakerRegistry::new(),
            shutdown,
            finishes: Arc::default(),
            listener: Arc::default(),
            further: Arc::default(),
        }
    }

    /// The public address, with the real port. It takes connections already, which wait until `start` is over.
    pub fn http_address(&self) -> SocketAddr {
        self.bound.http
    }

    /// The ops address, with the real port; it answers already.
    pub fn ops_address(&self) -> SocketAddr {
        self.bound.ops
    }

    /// The switch of the fault injection.
    pub fn faults(&self) -> &FaultSwitch {
        &self.faults
    }

    /// Whether the service is ready for traffic.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Shows a breaker on the ops listener (`/breakers`, `/metrics`).
    pub fn register_breaker(&self, breaker: &CircuitBreaker) {
        self.registry.register_breaker(breaker);
    }

    /// Shows a bulkhead on the ops listener.
    pub fn register_bulkhead(&self, bulkhead: &Bulkhead) {
        self.registry.register_bulkhead(bulkhead);
    }

    /// Shows all guards of an upstream on the ops listener.
    pub fn register(&self, policy: &Policy) {
        policy
            .breaker
            .iter()
            .for_each(|breaker| self.register_breaker(breaker));
        policy
            .bulkhead
            .iter()
            .for_each(|bulkhead| self.register_bulkhead(bulkhead));
    }

    /// The registered guards.
    pub fn breakers(&self) -> BreakerRegistry {
        self.registry.clone()
    }

    /// Cancelled when the drain begins: background tasks and endless answers (event streams) must end then. Cancelling
    /// it begins the drain.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Runs `finish` after the last request was answered (or the drain limit has passed), in the order of registration
    /// and within a further drain limit: the place to flush a store.
    pub fn on_drained(&self, finish: impl Future<Output = ()> + Send + 'static) {
        self.finishes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::pin(finish));
    }

    /// Announces a listener of the service's own, beside the public one and the ops listener.
    pub fn also_listens(&self, name: &str, address: SocketAddr) {
        self.further
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name.to_owned(), address));
    }

    /// The listeners that were announced, with their real ports.
    pub fn listeners(&self) -> Vec<(String, SocketAddr)> {
        self.further
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn keep_listener(&self, listener: std::net::TcpListener) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    pub(crate) fn take_public_listener(&self) -> Option<std::net::TcpListener> {
        self.listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(crate) fn take_finishes(&self) -> Vec<Finish> {
        std::mem::take(&mut *self.finishes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}
