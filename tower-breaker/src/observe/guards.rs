//! Which guards to look at, and under which names.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Bulkhead, CircuitBreaker, Keyed, Snapshot, Throttle, bulkhead, throttle};

/// The guards to look at. Clones are one set: what is added to one is seen by every collector that was made with another.
///
/// A guard that is added by its handle is kept: its circuit lives as long as the set does, so that what its last calls did is
/// published too. Guards that come and go are told of by a [`source`](Self::source) instead.
///
/// Names may repeat. Guards of one kind that have the same name are published as one: counts are added up, and a state says how
/// many circuits are in it. The same guard is counted once, however often it is named.
///
/// ```
/// use tower_breaker::{Bulkhead, CircuitBreaker, observe::Guards};
///
/// let breaker = CircuitBreaker::builder("inventory").consecutive_failures(5).build()?;
/// let bulkhead = Bulkhead::builder("inventory").max_concurrent(64).build()?;
/// let guards = Guards::new();
/// guards.breaker(&breaker).bulkhead(&bulkhead);
/// # Ok::<(), tower_breaker::BuildError>(())
/// ```
#[derive(Clone, Default)]
pub struct Guards {
    sources: Arc<Mutex<Vec<Source>>>,
}

type Source = Arc<dyn Fn(&mut Found) + Send + Sync>;

impl Guards {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a circuit breaker under its own name.
    pub fn breaker(&self, breaker: &CircuitBreaker) -> &Self {
        self.breaker_as(breaker.name(), breaker)
    }

    /// Adds a circuit breaker under another name than its own.
    pub fn breaker_as(&self, name: impl Into<Arc<str>>, breaker: &CircuitBreaker) -> &Self {
        let (name, breaker) = (name.into(), breaker.clone());
        self.source(move |found| found.breaker(Arc::clone(&name), breaker.snapshot()))
    }

    /// Adds a bulkhead under its own name.
    pub fn bulkhead(&self, bulkhead: &Bulkhead) -> &Self {
        self.bulkhead_as(bulkhead.name(), bulkhead)
    }

    /// Adds a bulkhead under another name than its own.
    pub fn bulkhead_as(&self, name: impl Into<Arc<str>>, bulkhead: &Bulkhead) -> &Self {
        let (name, bulkhead) = (name.into(), bulkhead.clone());
        self.source(move |found| found.bulkhead(Arc::clone(&name), bulkhead.snapshot()))
    }

    /// Adds a throttle under its own name.
    pub fn throttle(&self, throttle: &Throttle) -> &Self {
        self.throttle_as(throttle.name(), throttle)
    }

    /// Adds a throttle under another name than its own.
    pub fn throttle_as(&self, name: impl Into<Arc<str>>, throttle: &Throttle) -> &Self {
        let (name, throttle) = (name.into(), throttle.clone());
        self.source(move |found| found.throttle(Arc::clone(&name), throttle.snapshot()))
    }

    /// Adds the circuits of a registry, each under its [label](Keyed::label), so that there are no more names than the registry has labels:
    /// the rest are added up under `other`. The overflow guard is among them, under its own name.
    ///
    /// What a circuit counted after the last look and before it was thrown out is not published; the registry's
    /// [`totals`](Keyed::totals) have it.
    pub fn keyed_breakers<K, S>(&self, registry: &Keyed<K, CircuitBreaker, S>) -> &Self
    where
        K: Clone + Send + Sync + 'static,
        S: Send + Sync + 'static,
    {
        let registry = registry.clone();
        self.source(move |found| {
            let overflow = registry.overflow();
            found.breaker(overflow.name(), overflow.snapshot());
            for entry in registry.iter() {
                found.breaker(entry.label, entry.guard.snapshot());
            }
        })
    }

    /// As [`keyed_breakers`](Self::keyed_breakers), for bulkheads.
    pub fn keyed_bulkheads<K, S>(&self, registry: &Keyed<K, Bulkhead, S>) -> &Self
    where
        K: Clone + Send + Sync + 'static,
        S: Send + Sync + 'static,
    {
        let registry = registry.clone();
        self.source(move |found| {
            let overflow = registry.overflow();
            found.bulkhead(overflow.name(), overflow.snapshot());
            for entry in registry.iter() {
                found.bulkhead(entry.label, entry.guard.snapshot());
            }
        })
    }

    /// Adds guards that come and go: those of a map, of a pool, of a configuration that is reloaded. The function is called
    /// whenever somebody looks, outside any lock, and tells of the guards that exist then.
    ///
    /// A name is a label of every series that is published, so a source must not make one up per user or per request:
    /// what is not worth a name of its own goes under one that it shares, such as `other`.
    ///
    /// ```
    /// # use std::{collections::HashMap, sync::{Arc, RwLock}};
    /// # use tower_breaker::{CircuitBreaker, observe::Guards};
    /// # let by_host: Arc<RwLock<HashMap<String, CircuitBreaker>>> = Arc::default();
    /// let guards = Guards::new();
    /// guards.source(move |found| {
    ///     let by_host = by_host.read().unwrap();
    ///     for (host, breaker) in &*by_host {
    ///         found.breaker(host.as_str(), breaker.snapshot());
    ///     }
    /// });
    /// ```
    pub fn source(&self, source: impl Fn(&mut Found) + Send + Sync + 'static) -> &Self {
        self.sources().push(Arc::new(source));
        self
    }

    /// How all of them stand now.
    pub(super) fn look(&self) -> Found {
        // The sources are the user's code, which may come back here.
        let sources = self.sources().clone();
        let mut found = Found::default();
        for source in sources {
            source(&mut found);
        }
        found
    }

    // Nothing but the vector's own code runs under the lock.
    fn sources(&self) -> MutexGuard<'_, Vec<Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guards")
            .field("sources", &self.sources().len())
            .finish()
    }
}

/// Takes what a [source](Guards::source) has to tell.
#[derive(Debug, Default)]
pub struct Found {
    pub(super) breakers: Vec<(Arc<str>, Snapshot)>,
    pub(super) bulkheads: Vec<(Arc<str>, bulkhead::Snapshot)>,
    pub(super) throttles: Vec<(Arc<str>, throttle::Snapshot)>,
}

impl Found {
    /// There is this circuit breaker, to be published under this name.
    pub fn breaker(&mut self, name: impl Into<Arc<str>>, snapshot: Snapshot) {
        self.breakers.push((name.into(), snapshot));
    }

    /// There is this bulkhead, to be published under this name.
    pub fn bulkhead(&mut self, name: impl Into<Arc<str>>, snapshot: bulkhead::Snapshot) {
        self.bulkheads.push((name.into(), snapshot));
    }

    /// There is this throttle, to be published under this name.
    pub fn throttle(&mut self, name: impl Into<Arc<str>>, snapshot: throttle::Snapshot) {
        self.throttles.push((name.into(), snapshot));
    }
}
