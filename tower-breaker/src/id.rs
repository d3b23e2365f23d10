//! Numbers that tell guards apart, whatever they are called.

// Not from `crate::sync`: no model checks it, and loom's are not for statics.
use std::sync::atomic::{AtomicU64, Ordering};

/// One more than the last, from 1.
pub(crate) fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
