//! Spreads what many threads write to over several cache lines.
//!
//! Two threads that write to one cache line wait for each other, and an atomic count that each call of every thread touches
//! is the slowest thing a guard can do. So whatever need not be one value is kept several times, and each thread uses the
//! copy that its number points to.

use std::{
    cell::Cell,
    num::NonZero,
    sync::{
        OnceLock,
        // Not loom's: which copy a thread uses decides nothing.
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// More copies than this cost more memory than they save time.
const MOST: usize = 8;

/// How many copies to keep on this machine: a power of two.
pub(crate) fn count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| match thread::available_parallelism() {
        _ if cfg!(breaker_loom) => 1,
        threads => threads
            .map_or(MOST, NonZero::get)
            .next_power_of_two()
            .min(MOST),
    })
}

/// The copy for the thread that asks. There must be a power of two of them.
#[inline]
pub(crate) fn mine<T>(copies: &[T]) -> &T {
    debug_assert!(copies.len().is_power_of_two());
    &copies[thread_number() & (copies.len() - 1)]
}

#[inline]
fn thread_number() -> usize {
    const NONE: usize = usize::MAX;
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(NONE) };
    }
    let number = NUMBER.get();
    if number != NONE {
        return number;
    }
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    NUMBER.set(number);
    number
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_its_copy_and_threads_spread_over_all() {
        let copies = [0, 1, 2, 3];
        let used = || {
            let first = *mine(&copies);
            assert_eq!(*mine(&copies), first);
            first
        };
        // Other tests draw numbers too, so any four threads may meet; many cannot.
        let mut seen: Vec<_> = (0..100)
            .map(|_| thread::scope(|scope| scope.spawn(used).join().unwrap()))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, copies);
        assert!(count().is_power_of_two() && count() <= MOST);
    }
}
