//! Building a registry.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::{BuildHasher, Hash},
};

use super::{
    guard::Guard,
    registry::{Keyed, Make, Settings},
};
use crate::{
    BuildError, Bulkhead, CircuitBreaker, Problem, breaker::CircuitBreakerBuilder,
    bulkhead::BulkheadBuilder,
};

const DEFAULT_CAPACITY: usize = 1_024;
const MAX_CAPACITY: usize = 1_000_000;
const DEFAULT_LABELS: usize = 100;
const MAX_LABELS: usize = 10_000;
// So many guards, and no more, may be as large as those without a registry.
const FEW: usize = 64;
// What it is called in errors.
const GUARD: &str = "keyed registry";

/// Builds a [`Keyed`] registry. Made by [`Keyed::breakers`] and [`Keyed::bulkheads`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct KeyedBuilder<K, G: Guard, S = RandomState> {
    make: Make<K, G>,
    overrides: HashMap<K, Make<K, G>>,
    overflow: Option<G::Builder>,
    capacity: usize,
    labels: usize,
    // By the capacity, unless it is said.
    compact: Option<bool>,
    hasher: S,
}

impl<K: Hash + Eq> Keyed<K, CircuitBreaker> {
    /// Begins a registry of circuit breakers. `make` says how the one for a key is set; its name shows in refusals, events and metrics.
    ///
    /// It is called when a key is first seen, and again when one is seen that had been thrown out; perhaps by several at once, of whose
    /// circuits one is kept. A circuit that it sets wrong is not made: the calls go by the overflow guard
    /// ([`Stats::unbuildable`](super::Stats::unbuildable)).
    pub fn breakers(
        make: impl Fn(&K) -> CircuitBreakerBuilder + Send + Sync + 'static,
    ) -> KeyedBuilder<K, CircuitBreaker> {
        KeyedBuilder::new(Box::new(make))
    }
}

impl<K: Hash + Eq> Keyed<K, Bulkhead> {
    /// Begins a registry of bulkheads. `make` says how the one for a key is set; its name shows in refusals and metrics.
    ///
    /// It is called when a key is first seen, and again when one is seen that had been thrown out; perhaps by several at once, of whose
    /// bulkheads one is kept. A bulkhead that it sets wrong is not made: the calls go by the overflow guard
    /// ([`Stats::unbuildable`](super::Stats::unbuildable)).
    pub fn bulkheads(
        make: impl Fn(&K) -> BulkheadBuilder + Send + Sync + 'static,
    ) -> KeyedBuilder<K, Bulkhead> {
        KeyedBuilder::new(Box::new(make))
    }
}

impl<K: Hash + Eq, G: Guard> KeyedBuilder<K, G> {
    fn new(make: Make<K, G>) -> Self {
        Self {
            make,
            overrides: HashMap::new(),
            overflow: None,
            capacity: DEFAULT_CAPACITY,
            labels: DEFAULT_LABELS,
            compact: None,
            hasher: RandomState::new(),
        }
    }
}

impl<K: Hash + Eq, G: Guard, S> KeyedBuilder<K, G, S> {
    /// The guard that calls share for whose key there is no room, or that have none. There is no default.
    ///
    /// All these calls stand or fall together, so it should be slower to refuse than the guard of one key: a circuit with a rate over
    /// many calls, or in a dry run so that it never refuses; a bulkhead with as much room as strangers may have in all.
    pub fn overflow(mut self, guard: G::Builder) -> Self {
        self.overflow = Some(guard);
        self
    }

    /// How many entries there may be, 1 to 1,000,000. The default is 1,024. What one takes is in the [module](super#memory).
    pub fn capacity(mut self, entries: usize) -> Self {
        self.capacity = entries;
        self
    }

    /// Sets the guard of this key otherwise. It counts as an entry like any other, once the key is seen.
    pub fn overriding(
        mut self,
        key: K,
        make: impl Fn(&K) -> G::Builder + Send + Sync + 'static,
    ) -> Self {
        self.overrides.insert(key, Box::new(make));
        self
    }

    /// How many guards get a label of their own in metrics, up to 10,000: see [`Keyed::label`]. The default is 100.
    pub fn labels(mut self, most: usize) -> Self {
        self.labels = most;
        self
    }

    /// Lets each guard count in a place for each thread, as one without a registry does: see [memory](super#memory). For keys that many
    /// threads use at once, where memory is no matter. It is the default up to a capacity of 64.
    pub fn striped(mut self) -> Self {
        self.compact = Some(false);
        self
    }

    /// Hashes keys otherwise. The default is the standard library's SipHash with a random key, which nobody who chooses keys can make
    /// slow; a faster one may be set where keys come from a list of your own.
    pub fn hasher<S2: BuildHasher>(self, hasher: S2) -> KeyedBuilder<K, G, S2> {
        KeyedBuilder {
            make: self.make,
            overrides: self.overrides,
            overflow: self.overflow,
            capacity: self.capacity,
            labels: self.labels,
            compact: self.compact,
            hasher,
        }
    }

    /// Builds the registry, with no entries yet.
    ///
    /// # Errors
    ///
    /// Names everything that is wrong with the overflow guard, or else every option that is missing or out of range.
    pub fn build(self) -> Result<Keyed<K, G, S>, BuildError> {
        let mut problems = Vec::new();
        if self.overflow.is_none() {
            problems.push(Problem::new("overflow", None::<()>, "a guard"));
        }
        if !(1..=MAX_CAPACITY).contains(&self.capacity) {
            let allowed = format!("1 to {MAX_CAPACITY}");
            problems.push(Problem::new("capacity", self.capacity, allowed));
        }
        if self.labels > MAX_LABELS {
            let allowed = format!("0 to {MAX_LABELS}");
            problems.push(Problem::new("labels", self.labels, allowed));
        }
        let Some(overflow) = self.overflow else {
            return Err(BuildError::of(GUARD, "", problems));
        };
        let overflow = G::build(overflow, false)?;
        BuildError::check(GUARD, overflow.name(), problems)?;
        Ok(Keyed::assemble(
            self.capacity,
            self.hasher,
            self.labels,
            Settings {
                make: self.make,
                overrides: self.overrides,
                overflow,
                compact: self.compact.unwrap_or(self.capacity > FEW),
            },
        ))
    }
}

impl<K: fmt::Debug, G: Guard, S> fmt::Debug for KeyedBuilder<K, G, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBuilder")
            .field("capacity", &self.capacity)
            .field("overriding", &self.overrides.keys())
            .field("labels", &self.labels)
            .field("compact", &self.compact)
            .finish_non_exhaustive()
    }
}
