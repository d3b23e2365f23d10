//! What a registry can hold.

use std::fmt;

use super::layer::{Admit, Judge};
use super::totals::{BreakerTotals, BulkheadTotals, Totals};
use crate::{
    BuildError, Bulkhead, CircuitBreaker, breaker, breaker::CircuitBreakerBuilder, bulkhead,
    bulkhead::BulkheadBuilder,
};

/// What a [`Keyed`](super::Keyed) registry can hold one of for each key: a [`CircuitBreaker`] or a [`Bulkhead`].
///
/// Not for others to implement: whether a guard may be thrown out can only be said with a look into it.
pub trait Guard: sealed::Sealed + Clone + fmt::Debug + Send + Sync + 'static {
    /// What one is made from.
    type Builder: Send + 'static;
    /// One at one moment.
    type Snapshot: fmt::Debug + Clone + Send + 'static;
    /// What many have counted together.
    type Totals: Totals;
    /// What a [`KeyedLayer`](super::KeyedLayer) does with a call, unless told otherwise.
    type Action: Default;

    /// The guard at this moment.
    fn snapshot(&self) -> Self::Snapshot;

    /// The guard's name.
    fn name(&self) -> &str;

    // `compact`: for many, of which each takes as little memory as it can.
    #[doc(hidden)]
    fn build(builder: Self::Builder, compact: bool) -> Result<Self, BuildError>;

    // Asked while no new call can come to it through the registry.
    #[doc(hidden)]
    fn idleness(&self) -> Idleness;

    #[doc(hidden)]
    fn totals(&self) -> Self::Totals;

    // Whether both are handles of one guard.
    #[doc(hidden)]
    fn is(&self, other: &Self) -> bool;
}

/// Whether a guard may be thrown out.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idleness {
    /// It has a call under way, or does not admit everything, or somebody else has a handle of it.
    Busy,
    /// It may, but it remembers something that one made anew would not know: failures, for a circuit.
    Remembers,
    /// Nobody would notice.
    Idle,
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::CircuitBreaker {}
    impl Sealed for crate::Bulkhead {}
}

impl Guard for CircuitBreaker {
    type Builder = CircuitBreakerBuilder;
    type Snapshot = breaker::Snapshot;
    type Totals = BreakerTotals;
    type Action = Judge;

    fn snapshot(&self) -> breaker::Snapshot {
        self.snapshot()
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn build(builder: CircuitBreakerBuilder, compact: bool) -> Result<Self, BuildError> {
        builder.build_keyed(compact)
    }

    fn idleness(&self) -> Idleness {
        self.idleness()
    }

    fn totals(&self) -> BreakerTotals {
        self.totals()
    }

    fn is(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl Guard for Bulkhead {
    type Builder = BulkheadBuilder;
    type Snapshot = bulkhead::Snapshot;
    type Totals = BulkheadTotals;
    type Action = Admit;

    fn snapshot(&self) -> bulkhead::Snapshot {
        self.snapshot()
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn build(builder: BulkheadBuilder, compact: bool) -> Result<Self, BuildError> {
        builder.build_keyed(compact)
    }

    fn idleness(&self) -> Idleness {
        match self.is_idle() {
            false => Idleness::Busy,
            // What it has found out about its limit.
            true if self.is_adaptive() => Idleness::Remembers,
            true => Idleness::Idle,
        }
    }

    fn totals(&self) -> BulkheadTotals {
        BulkheadTotals::of(&self.snapshot())
    }

    fn is(&self, other: &Self) -> bool {
        self.is(other)
    }
}
