//! What checks have found, endpoint by endpoint. Read by dashboards, written once per check: a lock is cheap enough.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::state::Health;

/// What is known of an endpoint.
#[derive(Debug, Clone)]
pub struct EndpointHealth {
    /// Its host.
    pub host: Arc<str>,
    /// Its address.
    pub address: SocketAddr,
    /// What is thought of it.
    pub health: Health,
    /// Since when.
    pub since: Instant,
    /// When it was last checked.
    pub last_check: Option<Instant>,
    /// Why it did not pass the last check; `None` if it did.
    pub last_error: Option<Arc<str>>,
    /// Checks that it passed,
    pub passed: u64,
    /// and that it did not.
    pub failed: u64,
}

/// All endpoints that are being checked. Clones are one report.
#[derive(Debug, Clone, Default)]
pub struct Report(Arc<Mutex<BTreeMap<u64, EndpointHealth>>>);

impl Report {
    /// A snapshot, in the order in which they came.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointHealth> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn add(&self, number: u64, endpoint: EndpointHealth) {
        self.lock().insert(number, endpoint);
    }

    pub(super) fn remove(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// An endpoint that has gone is not brought back.
    pub(super) fn update(&self, number: u64, with: impl FnOnce(&mut EndpointHealth)) {
        if let Some(endpoint) = self.lock().get_mut(&number) {
            with(endpoint);
        }
    }

    pub(super) fn count(&self, health: Health) -> usize {
        let all = self.lock();
        all.values().filter(|one| one.health == health).count()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, EndpointHealth>> {
        // Nothing in here is ever half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
