//! Many threads over few entries.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use tower_breaker::CircuitBreaker;

use crate::support::{breakers, builder, bulkheads};

/// As much chance as this needs: Marsaglia's xorshift.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn every_call_is_counted_once_however_often_entries_come_and_go() {
    const CALLS: u64 = if cfg!(debug_assertions) {
        20_000
    } else {
        100_000
    };
    let keys: Vec<String> = (0..12).map(|key| format!("key {key}")).collect();
    let registry = breakers(4);
    let refused = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (1..=4)
            .map(|seed| {
                let (registry, keys, refused) = (&registry, &keys, &refused);
                scope.spawn(move || {
                    let mut chance = Chance(seed);
                    let mut held = None;
                    for _ in 0..CALLS {
                        let key = &*keys[chance.below(keys.len() as u64) as usize];
                        match registry.try_acquire(key) {
                            Ok(permit) => match chance.below(16) {
                                0 => permit.ignore(),
                                1 => drop(permit),
                                // Ends when the next is held, which may be long after.
                                2 => held = Some(permit),
                                _ => permit.success(),
                            },
                            Err(_) => {
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        if chance.below(64) == 0 {
                            registry.get_or_make(key).reset();
                        }
                    }
                    drop(held);
                })
            })
            .collect();
        let watch = scope.spawn(|| {
            let mut last = registry.totals();
            while !done.load(Ordering::Relaxed) {
                let now = registry.totals();
                assert!(now.admitted >= last.admitted, "totals went back");
                assert!(now.ended() >= last.ended(), "totals went back");
                assert!(registry.iter().count() <= registry.capacity());
                last = now;
            }
        });
        for thread in threads {
            thread.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        watch.join().unwrap();
    });
    let totals = registry.totals();
    assert_eq!(totals.admitted + refused.load(Ordering::Relaxed), 4 * CALLS);
    assert_eq!(totals.refused, refused.load(Ordering::Relaxed));
    assert_eq!(totals.ended(), totals.admitted);
    let stats = registry.stats();
    assert!(stats.entries <= 4 && stats.evicted > 100, "{stats:?}");
}

// If two circuits of one key were in use at once, one of them would have a call while the other has one too.
#[test]
fn no_two_bulkheads_of_one_key_are_in_use_at_once() {
    const CALLS: u64 = if cfg!(debug_assertions) {
        20_000
    } else {
        100_000
    };
    let keys: Vec<String> = (0..6).map(|key| format!("key {key}")).collect();
    let registry = bulkheads(2, 1);
    let running: Vec<_> = keys.iter().map(|_| AtomicU64::new(0)).collect();
    let overflowed = AtomicU64::new(0);
    thread::scope(|scope| {
        for seed in 1..=4 {
            let (registry, keys, running, overflowed) = (&registry, &keys, &running, &overflowed);
            scope.spawn(move || {
                let mut chance = Chance(seed);
                for _ in 0..CALLS {
                    let at = chance.below(keys.len() as u64) as usize;
                    let Ok(permit) = registry.try_acquire(&*keys[at]) else {
                        continue;
                    };
                    // The permit says whose it is.
                    if format!("{permit:?}").contains("overflow") {
                        overflowed.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    let others = running[at].fetch_add(1, Ordering::SeqCst);
                    assert_eq!(others, 0, "each bulkhead lets one call in");
                    if chance.below(4) == 0 {
                        thread::yield_now();
                    }
                    running[at].fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
            });
        }
    });
    assert!(registry.stats().evicted > 100);
    let totals = registry.totals();
    assert_eq!(totals.admitted + totals.refused(), 4 * CALLS);
    assert_eq!(totals.in_flight, 0);
    assert_eq!(
        registry.stats().overflowed,
        registry.overflow().snapshot().admitted + registry.overflow().snapshot().refused.total()
    );
}

#[test]
fn a_handle_is_never_of_a_guard_that_has_been_thrown_out() {
    let keys: Vec<String> = (0..6).map(|key| format!("key {key}")).collect();
    // The guard by which each key is held just now, and how many hold it.
    let held: Mutex<HashMap<usize, (CircuitBreaker, usize)>> = Mutex::default();
    let registry = builder(3).build().unwrap();
    thread::scope(|scope| {
        for seed in 1..=4 {
            let (registry, keys, held) = (&registry, &keys, &held);
            scope.spawn(move || {
                let mut chance = Chance(seed);
                for _ in 0..20_000 {
                    let at = chance.below(keys.len() as u64) as usize;
                    let guard = registry.get_or_make(&*keys[at]);
                    if guard.name() == "overflow" {
                        continue;
                    }
                    let generation = {
                        let mut held = held.lock().unwrap();
                        let (first, holders) = held.entry(at).or_insert_with(|| (guard.clone(), 0));
                        *holders += 1;
                        // Whatever is done to one is seen by the other, if they are one.
                        first.force_open();
                        let generation = guard.snapshot().generation;
                        first.reset();
                        assert!(guard.snapshot().generation > generation);
                        generation
                    };
                    assert!(guard.snapshot().generation >= generation);
                    let mut held = held.lock().unwrap();
                    let (_, holders) = held.get_mut(&at).unwrap();
                    *holders -= 1;
                    if *holders == 0 {
                        held.remove(&at);
                    }
                    drop(guard);
                }
            });
        }
    });
    assert!(registry.stats().evicted > 100);
}
