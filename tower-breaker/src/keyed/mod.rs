//! keys
mod builder;
pub mod by;
// Readers have no lock of their own: see there for why, and why that is sound.
#[allow(unsafe_code)]
mod exclusion;
mod guard;
mod index;
mod labels;
mod layer;
mod registry;
mod service;
mod shard;
mod totals;

#[doc(hidden)]
pub use self::guard::Idleness;
#[cfg(feature = "http")]
pub use self::service::JudgeBody;
pub use self::{
    builder::KeyedBuilder,
    by::PickKey,
    guard::Guard,
    labels::OTHER,
    layer::{Judge, KeyedLayer},
    registry::{Entry, Keyed, Registry, Stats},
    service::KeyedService,
    totals::{BreakerTotals, BulkheadTotals, Totals},
};
