//! The atomics and locks of the concurrent code: std's, or loom's when its models run.
//!
//! The switch is a cfg of our own, not loom's usual one: tokio reacts to `--cfg loom` by dropping parts that this crate and
//! its tests use.

/// Lets another thread finish what it is at, after losing a race with it for the `lost`-th time in a row. Whoever wins then does
/// so several times before the cache line moves on, which is what makes a contended word fast: two threads on one window go twice
/// as fast as without (`cargo bench -p tower-breaker`, two threads). At most 256 pauses, some microseconds.
#[inline]
pub(crate) fn give_way(lost: u32) {
    #[cfg(not(breaker_loom))]
    for _ in 0..1_u32 << (lost.min(4) + 4) {
        std::hint::spin_loop();
    }
    #[cfg(breaker_loom)]
    let _ = lost;
}

#[cfg(not(breaker_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

#[cfg(breaker_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};
