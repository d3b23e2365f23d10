//! The guards of a process, for `/breakers`, `/metrics` and services that show them to users.

mod report;

pub use report::{
    BreakerReport, BulkheadReport, RateReport, Report, TimeInStateReport, TransitionReport,
    WindowReport,
};

use report::Calendar;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tower_breaker::{
    Bulkhead, CircuitBreaker,
    observe::{self, Metrics},
};

/// The registered guards. Clones are one registry.
#[derive(Debug, Clone, Default)]
pub struct BreakerRegistry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    // Shared with what publishes them.
    guards: Arc<Mutex<Guards>>,
    metrics: Metrics,
    calendar: Calendar,
}

#[derive(Debug, Default)]
struct Guards {
    breakers: Vec<CircuitBreaker>,
    bulkheads: Vec<Bulkhead>,
}

impl Default for Inner {
    fn default() -> Self {
        let guards = Arc::new(Mutex::new(Guards::default()));
        let published = observe::Guards::new();
        let registered = Arc::clone(&guards);
        // Whoever is registered when somebody looks: a guard that was replaced is not kept, and the new one goes on with its counts.
        published.source(move |found| {
            let guards = lock(&registered);
            let (breakers, bulkheads) = (guards.breakers.clone(), guards.bulkheads.clone());
            drop(guards);
            for breaker in breakers {
                found.breaker(breaker.name(), breaker.snapshot());
            }
            for bulkhead in bulkheads {
                found.bulkhead(bulkhead.name(), bulkhead.snapshot());
            }
        });
        Self {
            guards,
            metrics: Metrics::new(published),
            calendar: Calendar::default(),
        }
    }
}

fn lock(guards: &Mutex<Guards>) -> MutexGuard<'_, Guards> {
    guards.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BreakerRegistry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a breaker; one of the same name is replaced.
    pub fn register_breaker(&self, breaker: &CircuitBreaker) {
        let known = &mut self.guards().breakers;
        known.retain(|known| known.name() != breaker.name());
        known.push(breaker.clone());
    }

    /// Adds a bulkhead; one of the same name is replaced.
    pub fn register_bulkhead(&self, bulkhead: &Bulkhead) {
        let known = &mut self.guards().bulkheads;
        known.retain(|known| known.name() != bulkhead.name());
        known.push(bulkhead.clone());
    }

    /// The breakers, in the order of their registration.
    pub fn breakers(&self) -> Vec<CircuitBreaker> {
        self.guards().breakers.clone()
    }

    /// The bulkheads, in the order of their registration.
    pub fn bulkheads(&self) -> Vec<Bulkhead> {
        self.guards().bulkheads.clone()
    }

    /// What `GET /breakers` answers.
    pub fn report(&self) -> Report {
        let calendar = &self.inner.calendar;
        Report {
            breakers: self
                .breakers()
                .iter()
                .map(|breaker| BreakerReport::of(breaker, calendar))
                .collect(),
            bulkheads: self.bulkheads().iter().map(BulkheadReport::of).collect(),
        }
    }

    /// Brings the metrics of all guards up to date, before a scrape: those of [`tower_breaker::observe`].
    pub(crate) fn refresh_metrics(&self) {
        self.inner.metrics.collect();
    }

    fn guards(&self) -> MutexGuard<'_, Guards> {
        lock(&self.inner.guards)
    }
}
