//! The guards of a process, for `/breakers`, `/metrics` and services that show them to users.

pub(crate) mod gauges;
mod report;

pub use report::{
    BreakerReport, BulkheadReport, RateReport, Report, TimeInStateReport, TransitionReport,
    WindowReport,
};

use report::Calendar;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tower_breaker::{Bulkhead, CircuitBreaker};

/// The registered guards. Clones are one registry.
#[derive(Debug, Clone, Default)]
pub struct BreakerRegistry {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    guards: Mutex<Guards>,
    calendar: Calendar,
}

#[derive(Debug, Default)]
struct Guards {
    breakers: Vec<CircuitBreaker>,
    bulkheads: Vec<Bulkhead>,
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

    /// Brings the metrics of all guards up to date, before a scrape.
    pub(crate) fn refresh_metrics(&self) {
        self.breakers()
            .iter()
            .for_each(|breaker| gauges::breaker(&breaker.snapshot()));
        self.bulkheads()
            .iter()
            .for_each(|bulkhead| gauges::bulkhead(&bulkhead.snapshot()));
    }

    fn guards(&self) -> MutexGuard<'_, Guards> {
        self.inner
            .guards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
