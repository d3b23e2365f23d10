//! Exact counters that cost next to nothing to add to: each thread has a stripe of its own, so that adding needs neither a
//! read-modify-write nor another thread's cache line. Reading sums the stripes.
//!
//! A thread gets a number for as long as it lives, the smallest that is free; the number is its stripe. Giving a number back
//! and taking it happen under one lock, so that the next owner sees what the last one wrote. Threads with a number beyond
//! the stripes share one, where adding is a read-modify-write.
//!
//! Adding releases and reading acquires: who has seen a call's end counted, and then reads how many began, finds it among them.

use std::{
    num::NonZero,
    ops::Deref,
    sync::{Arc, OnceLock},
    thread,
};

use crate::{
    ownership::Addition,
    sync::{AtomicU64, Ordering},
};

/// `N` counters, named by their index. No more than 16, so that a stripe keeps to its own cache lines.
///
/// In this order, so that the last of those in one place are beside the word that says that there are no others.
#[repr(C)]
pub(crate) struct Striped<const N: usize> {
    // For threads that have no stripe, where there are stripes: they have lines of their own, too.
    apart: Option<Box<Stripe<N>>>,
    // Where there are none: beside whatever else there is, which takes the least memory.
    compact: Counters<N>,
    own: Box<[Stripe<N>]>,
}

// Two lines, because the hardware fetches them in pairs.
#[repr(align(128))]
struct Stripe<const N: usize>(Counters<N>);

type Counters<const N: usize> = [AtomicU64; N];

fn counters<const N: usize>() -> Counters<N> {
    std::array::from_fn(|_| AtomicU64::new(0))
}

impl<const N: usize> Striped<N> {
    pub(crate) fn new() -> Self {
        Self {
            own: (0..stripes()).map(|_| Stripe(counters())).collect(),
            apart: Some(Box::new(Stripe(counters()))),
            compact: counters(),
        }
    }

    /// Without stripes: for counters of which there are thousands. Adding is a read-modify-write.
    pub(crate) fn compact() -> Self {
        Self {
            own: Box::default(),
            apart: None,
            compact: counters(),
        }
    }

    #[inline]
    pub(crate) fn add(&self, counter: usize) {
        self.addition(counter).make();
    }

    /// As [`add`](Self::add), if this thread has a stripe, and has been here before.
    #[inline]
    pub(crate) fn add_alone(&self, counter: usize) -> bool {
        let own = self.own.get(number::so_far());
        if let Some(Stripe(own)) = own {
            Addition::new(Some(&own[counter]), &own[counter]).make();
        }
        own.is_some()
    }

    /// As [`add`](Self::add), still to be made, by this thread.
    #[inline]
    pub(crate) fn addition(&self, counter: usize) -> Addition<'_> {
        match self.own() {
            Some(own) => Addition::new(Some(&own[counter]), &own[counter]),
            None => Addition::new(None, &self.shared()[counter]),
        }
    }

    /// Those of this thread alone.
    #[inline]
    fn own(&self) -> Option<&Counters<N>> {
        // A thread that has no number yet is told from others by those that have no stripe only.
        let own = match self.own.get(number::so_far()) {
            None => self.own.get(number::of_this_thread()),
            own => own,
        };
        own.map(|Stripe(counters)| counters)
    }

    /// Adds any amount. Sums wrap around at 2⁶⁴.
    #[inline]
    pub(crate) fn add_amount(&self, counter: usize, amount: u64) {
        match self.own() {
            Some(counters) => {
                // Nobody else writes here.
                let count = counters[counter].load(Ordering::Relaxed);
                counters[counter].store(count.wrapping_add(amount), Ordering::Release);
            }
            None => {
                self.shared()[counter].fetch_add(amount, Ordering::Release);
            }
        }
    }

    pub(crate) fn sum(&self, counter: usize) -> u64 {
        self.all(counter)
            .map(|count| count.load(Ordering::Acquire))
            .fold(0, u64::wrapping_add)
    }

    /// Uses a counter as a maximum instead: it becomes the value if that is greater. Not for a counter that is also added to.
    #[inline]
    pub(crate) fn raise(&self, counter: usize, value: u64) {
        let counters = self.own().unwrap_or(self.shared());
        // Others set it back to zero, so raising it is a read-modify-write, which is seldom needed.
        if counters[counter].load(Ordering::Relaxed) < value {
            counters[counter].fetch_max(value, Ordering::Relaxed);
        }
    }

    /// The greatest value that a counter has been raised to since this was last asked.
    pub(crate) fn take_max(&self, counter: usize) -> u64 {
        self.all(counter)
            .map(|count| count.swap(0, Ordering::Relaxed))
            .fold(0, u64::max)
    }

    fn all(&self, counter: usize) -> impl Iterator<Item = &AtomicU64> {
        self.own
            .iter()
            .map(|Stripe(counters)| counters)
            .chain([self.shared()])
            .map(move |counters| &counters[counter])
    }

    #[inline]
    fn shared(&self) -> &Counters<N> {
        if self.own.is_empty() {
            return &self.compact;
        }
        self.apart
            .as_deref()
            .map_or(&self.compact, |Stripe(counters)| counters)
    }
}

/// Room for a runtime's workers and as many threads beside them.
pub(crate) fn stripes() -> usize {
    // Asked once: the answer comes from the file system.
    static THREADS: OnceLock<usize> = OnceLock::new();
    let threads = *THREADS.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get));
    (2 * threads).clamp(4, 64)
}

/// The number of the thread that asks, which is nobody else's as long as it lives; or one that is too large for any use.
#[inline]
pub(crate) fn number_of_this_thread() -> usize {
    number::of_this_thread()
}

/// Picks one of several copies of something that many threads would otherwise all write to, for the thread that asks. Two
/// threads may get the same one. There must be a power of two of them.
#[inline]
pub(crate) fn copy_for_this_thread<T>(copies: &[T]) -> &T {
    debug_assert!(copies.len().is_power_of_two());
    &copies[number::of_this_thread() & (copies.len() - 1)]
}

/// How many copies are worth having on this machine: a power of two, up to eight.
pub(crate) fn copies() -> usize {
    static COPIES: OnceLock<usize> = OnceLock::new();
    *COPIES.get_or_init(|| {
        let threads = thread::available_parallelism().map_or(8, NonZero::get);
        threads.next_power_of_two().min(8)
    })
}

/// A handle of which every call needs one of its own: counting them in one place would cost threads that call at the same time
/// more than the call. So they are counted in several, and each thread goes to its own.
pub(crate) struct Spread<T>(Arc<[Arc<Lane<T>>]>);

/// What a call has. On lines of its own, as a [`Stripe`] is.
#[repr(align(128))]
pub(crate) struct Lane<T>(Arc<T>);

impl<T> Spread<T> {
    pub(crate) fn new(value: T) -> Self {
        let value = Arc::new(value);
        let lane = |_| Arc::new(Lane(Arc::clone(&value)));
        Self((0..copies()).map(lane).collect())
    }

    /// For a call of this thread; it may end on another.
    #[inline]
    pub(crate) fn lend(&self) -> Arc<Lane<T>> {
        Arc::clone(copy_for_this_thread(&self.0))
    }
}

impl<T> Clone for Spread<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Spread<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        let lane: &Arc<Lane<T>> = copy_for_this_thread(&self.0);
        lane
    }
}

impl<T> Deref for Lane<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(not(breaker_loom))]
mod number {
    use std::{
        cell::Cell,
        cmp::Reverse,
        collections::BinaryHeap,
        sync::{Mutex, MutexGuard, PoisonError},
    };

    // Larger than any number that is given.
    const NOT_YET: usize = usize::MAX - 1;
    const NEVER_AGAIN: usize = usize::MAX;

    thread_local! {
        // Apart from what gives it back: without a destructor, and with a constant to begin with, reading it is one load.
        static NUMBER: Cell<usize> = const { Cell::new(NOT_YET) };
        static TAKEN: Taken = Taken::take();
    }

    struct Taken(usize);

    struct Free {
        returned: BinaryHeap<Reverse<usize>>,
        next: usize,
    }

    static FREE: Mutex<Free> = Mutex::new(Free {
        returned: BinaryHeap::new(),
        next: 0,
    });

    fn free() -> MutexGuard<'static, Free> {
        FREE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Taken {
        fn take() -> Self {
            let mut free = free();
            if let Some(Reverse(number)) = free.returned.pop() {
                return Self(number);
            }
            let number = free.next;
            free.next += 1;
            Self(number)
        }
    }

    impl Drop for Taken {
        fn drop(&mut self) {
            // Before it is given back: another thread may have it at once, and what this one still does must not be under it.
            NUMBER.set(NEVER_AGAIN);
            free().returned.push(Reverse(self.0));
        }
    }

    /// The number, or one that is too large for any use.
    #[inline]
    pub(super) fn of_this_thread() -> usize {
        match NUMBER.get() {
            NOT_YET => first(),
            number => number,
        }
    }

    /// The same, for a thread that has been asked before; too large, too, for others.
    #[inline]
    pub(super) fn so_far() -> usize {
        NUMBER.get()
    }

    #[cold]
    fn first() -> usize {
        // A thread that is ending may have given its number back already.
        let number = TAKEN.try_with(|taken| taken.0).unwrap_or(NEVER_AGAIN);
        NUMBER.set(number);
        number
    }
}

#[cfg(breaker_loom)]
mod number {
    // Loom runs its threads on one thread of the system.
    pub(super) fn of_this_thread() -> usize {
        usize::MAX
    }

    pub(super) fn so_far() -> usize {
        usize::MAX
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn threads_that_live_at_once_have_numbers_of_their_own() {
        let own = number_of_this_thread();
        assert_eq!(number_of_this_thread(), own);
        thread::scope(|scope| {
            let other = scope.spawn(number_of_this_thread);
            assert_ne!(other.join().ok(), Some(own));
        });
    }

    #[test]
    fn sums_are_exact_over_more_threads_than_stripes_and_over_threads_that_follow_each_other() {
        let counters = Striped::<2>::new();
        for _ in 0..3 {
            thread::scope(|scope| {
                for _ in 0..counters.own.len() + 8 {
                    scope.spawn(|| {
                        for call in 0..1_000 {
                            counters.add(usize::from(call % 4 == 0));
                        }
                    });
                }
            });
        }
        let threads = 3 * (counters.own.len() as u64 + 8);
        assert_eq!(
            (counters.sum(0), counters.sum(1)),
            (threads * 750, threads * 250)
        );
    }

    #[test]
    fn sums_of_the_compact_form_are_exact_too() {
        let counters = Striped::<2>::compact();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1_000).for_each(|_| counters.add(1)));
            }
        });
        assert_eq!((counters.sum(0), counters.sum(1)), (0, 8_000));
    }

    #[test]
    fn a_thread_keeps_its_copy() {
        let copies = [0, 1, 2, 3, 4, 5, 6, 7];
        let together = std::sync::Barrier::new(2);
        let used = || {
            let first = *copy_for_this_thread(&copies);
            together.wait();
            assert_eq!(*copy_for_this_thread(&copies), first);
            (number::of_this_thread() % copies.len(), first)
        };
        thread::scope(|scope| {
            for thread in [scope.spawn(used), scope.spawn(used)] {
                let (number, copy) = thread.join().unwrap();
                assert_eq!(copy, number);
            }
        });
        assert!(super::copies().is_power_of_two());
    }

    #[test]
    fn a_maximum_is_over_all_threads_and_taken_once() {
        let counters = Striped::<1>::new();
        thread::scope(|scope| {
            for thread in 0..counters.own.len() as u64 + 8 {
                let counters = &counters;
                scope.spawn(move || {
                    counters.raise(0, 100 + thread);
                    counters.raise(0, 7);
                });
            }
        });
        assert_eq!(counters.take_max(0), 107 + counters.own.len() as u64);
        assert_eq!(counters.take_max(0), 0);
        counters.raise(0, 3);
        assert_eq!(counters.take_max(0), 3);
    }

    #[test]
    fn threads_that_live_at_the_same_time_have_numbers_of_their_own() {
        let together = std::sync::Barrier::new(8);
        let number = || {
            let number = number::of_this_thread();
            together.wait();
            assert_eq!(number::of_this_thread(), number);
            number
        };
        let numbers: std::collections::HashSet<usize> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(number)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert_eq!(numbers.len(), 8);
    }

    #[test]
    fn the_number_of_a_thread_that_has_ended_is_given_again() {
        let highest = (0..1_000)
            .map(|_| thread::spawn(number::of_this_thread).join().unwrap())
            .max();
        // Other tests run beside this one, but not by the hundred.
        assert!(highest.unwrap() < 500);
    }
}
