//! The atomics and locks of the concurrent code: std's, or loom's when its models run.
//!
//! The switch is a cfg of our own, not loom's usual one: tokio reacts to `--cfg loom` by dropping parts that this crate and
//! its tests use.

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
