//! One guard for each key: host, route, tenant.
//!
//! One circuit in front of a client that talks to many hosts opens for all of them when one is down; one bulkhead in front of many tenants
//! lets one of them take all the room. A [`Keyed`] registry holds a [`CircuitBreaker`](crate::CircuitBreaker) or a
//! [`Bulkhead`](crate::Bulkhead) for each key, makes it when the key is first seen, and holds no more than its capacity. A [`KeyedLayer`]
//! finds the key of each request ([`by`]).
//!
//! ```
//! use tower_breaker::{BoxError, CircuitBreaker, Keyed};
//!
//! let hosts = Keyed::breakers(|host: &String| CircuitBreaker::builder(host.as_str()).consecutive_failures(5))
//!     .overflow(CircuitBreaker::builder("other hosts").consecutive_failures(100))
//!     .overriding("slow.example".to_owned(), |host| {
//!         CircuitBreaker::builder(host.as_str()).consecutive_failures(20)
//!     })
//!     .capacity(1_000)
//!     .build()?;
//!
//! hosts.try_acquire("a.example")?.success();
//! assert_eq!(hosts.get("a.example").map(|breaker| breaker.snapshot().succeeded), Some(1));
//! # Ok::<(), BoxError>(())
//! ```
//!
//! # What stays
//!
//! When a key comes that has no entry and the registry is full, another entry makes room: the least recently used one of those that are
//! idle. An entry is idle if
//!
//! * no call is under way on its guard, and none waits for it;
//! * a circuit is closed, by its rules: not open, half-open, in a ramp, or held by hand;
//! * nobody has a handle of its guard ([`Keyed::get`], [`Keyed::iter`]), such as a background check.
//!
//! Of these, circuits that remember nothing go first: no failures in a row, none in a window, and no recovery that is more recent than
//! `stable_after`. Only if there is no such circuit does one go that has counted failures, and that is counted
//! ([`Stats::evicted_with_memory`]): if it comes back, it begins from zero. What is set by hand on a circuit that is closed and follows its
//! rules, as [`set_dry_run`](crate::CircuitBreaker::set_dry_run) is, goes with its entry, and so do its listeners' subscriptions; set such
//! things in the function that makes it.
//!
//! A newcomer looks at 64 entries at most, sixteen at a time, of which it takes the one least recently used. So in a registry of up to 64
//! entries it finds an idle one if there is one, and in one of up to 16 it takes the least recently used; in a larger one, nearly so.
//! "Recently" is measured in entries that were made, so that use costs nothing: what was used since the last entry was made was used at the
//! same time.
//!
//! If nothing can be thrown out, the newcomer gets no entry, and its calls pass the **overflow guard**, which all of them share, until there
//! is room ([`Stats::overflowed`]). Nothing is ever refused for want of room, memory never grows beyond the capacity, and no open circuit is
//! forgotten. The price: a registry whose entries are all open or in use has no room for newcomers. A circuit whose key never comes again
//! stays open, however long ago its wait was over. Where hosts go for good, or strangers choose the keys, take such circuits out from time to
//! time:
//!
//! ```
//! use std::time::Duration;
//! use tower_breaker::{CircuitBreaker, Keyed};
//!
//! fn forget_the_silent(hosts: &Keyed<String, CircuitBreaker>) {
//!     // Open, and nobody has come for a trial although the wait is over.
//!     hosts.retain(|_, breaker| breaker.snapshot().open_remaining != Some(Duration::ZERO));
//! }
//! # let _ = forget_the_silent;
//! ```
//!
//! There is never a moment in which two guards of one key let calls in: an entry goes only while nobody can be coming to it, and a call that
//! has been let in keeps it. ([`Keyed::remove`] and [`Keyed::retain`] are the exception: they take out what they are told, and calls under way
//! end on the guard they began on.)
//!
//! # Keys
//!
//! A key is looked up in a borrowed form (`str` for `String`), so a call with a known key allocates nothing, whether it is admitted or
//! refused; the key itself is made on first use. Keys are hashed with the standard library's SipHash and a random key, because strangers may
//! choose them; see [`KeyedBuilder::hasher`]. `Hash`, `Eq`, `Borrow` and `Clone` of a key and the
//! [clock](crate::breaker::Clock) of a guard are called in the middle of what the registry does: they must not use it. They panic if they do, or
//! wait for ever, on a thread that came after as many as have a place of their own. The function that makes a guard, destructors,
//! listeners and wakers are called outside, and may use it.
//!
//! # Memory
//!
//! The registry bounds the number of entries, not the size of keys; those of [`by`] are bounded in themselves. An entry with a circuit that
//! has a rule about failures in a row takes 990 bytes, with a key and a name of 18 bytes and all that belongs to them; one with a bulkhead
//! without a queue 969. A rate over calls adds its window. This is measured by the test `keyed_memory`.
//!
//! That is less than a guard takes alone, because those of a registry with room for more than 64 count in one place instead of one for each
//! thread. The price is that threads which use one key *at the same time* take that place from each other. Where few keys get all the calls and
//! memory is no matter, use [`KeyedBuilder::striped`].
//!
//! # Cost
//!
//! A look-up takes no lock and writes to no place that other threads write to, but for the counts above. While an entry is being made or
//! thrown out, look-ups in the same part of the registry wait, for as long as it takes to move a few words; what the user's code does for
//! an entry (the function that makes it, dropping it) is done outside. `cargo bench -p tower-breaker` has `keyed-10k` beside the same circuit without a registry.
//!
//! # Dashboards
//!
//! [`Keyed::iter`] and [`Keyed::snapshots`] give every entry, [`Keyed::totals`] the sum over all of them and those that have gone, so that it never
//! goes back; [`Keyed::stats`] says how full it is. [`Keyed::label`] gives the names of the first hundred guards, or however many, as labels for metrics
//! and `other` for the rest.
//!
//! # Sources
//!
//! That a registry must evict, and only what is idle and closed, is a lesson from libraries whose maps of circuits only grow. Choosing among a few
//! instead of keeping a list in order is what Redis does ("Approximated LRU algorithm"); that readers announce themselves in places of their own is
//! the reader's side of a big-reader lock.

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
pub use self::service::{HoldPermit, JudgeBody};
pub use self::{
    builder::KeyedBuilder,
    by::PickKey,
    guard::Guard,
    labels::OTHER,
    layer::{Admit, Judge, KeyedLayer},
    registry::{Entry, Keyed, Registry, Stats},
    service::KeyedService,
    totals::{BreakerTotals, BulkheadTotals, Totals},
};
