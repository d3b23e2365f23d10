//! What a registry does, call by call.

use std::{
    hash::{BuildHasher, Hasher},
    sync::{
        Arc, Barrier, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio_test::{assert_pending, assert_ready, task};
use tower_breaker::{
    Bulkhead, CircuitBreaker, FailureRate, Keyed, State,
    breaker::Ramp,
    bulkhead::{Priority, limit::Aimd},
};

use crate::support::{breaker, breakers, builder, bulkheads, keys};

#[test]
fn every_key_has_a_circuit_of_its_own_and_keeps_it() {
    let registry = breakers(10);
    for _ in 0..3 {
        registry.try_acquire("a").unwrap().failure();
        registry.try_acquire("b").unwrap().success();
    }
    let refused = registry.try_acquire("a").unwrap_err();
    assert_eq!(refused.name(), "a");
    registry.try_acquire("b").unwrap().success();
    assert_eq!(keys(&registry), ["a", "b"]);
    assert_eq!(registry.get("a").unwrap().state(), State::Open);
    assert!(registry.get("c").is_none());
    assert_eq!(registry.len(), 2);
    let totals = registry.totals();
    assert_eq!((totals.admitted, totals.ended()), (7, 7));
    assert_eq!((totals.refused, totals.transitions), (1, 1));
}

#[test]
fn the_least_recently_used_idle_entry_makes_room() {
    let registry = breakers(3);
    let call = |key: &str| registry.try_acquire(key).unwrap().success();
    ["a", "b", "c", "a"].into_iter().for_each(call);
    call("d");
    // `a` was used after `c` was made, so `b` was the last.
    assert_eq!(keys(&registry), ["a", "c", "d"]);
    let stats = registry.stats();
    assert_eq!(
        (stats.entries, stats.evicted, stats.evicted_with_memory),
        (3, 1, 0)
    );
    assert_eq!((stats.overflowed, stats.capacity), (0, 3));
    assert_eq!(
        registry.totals().admitted,
        5,
        "what is gone is still counted"
    );
}

#[test]
fn nothing_that_is_in_use_or_not_closed_is_thrown_out_and_newcomers_share_the_overflow_guard() {
    let registry = breakers(4);
    let calling = registry.try_acquire("calling").unwrap();
    registry.get_or_make("open").force_open();
    for _ in 0..3 {
        registry.try_acquire("failing").unwrap().failure();
    }
    let held = registry.get_or_make("held");
    for _ in 0..5 {
        registry.try_acquire("new").unwrap().success();
    }
    let stats = registry.stats();
    assert_eq!((stats.evicted, stats.overflowed), (0, 5));
    assert_eq!(registry.overflow().snapshot().succeeded, 5);
    assert_eq!(registry.len(), 4);

    // It stands and falls as one.
    for _ in 0..3 {
        registry.try_acquire("newer").unwrap().failure();
    }
    assert_eq!(
        registry.try_acquire("newest").unwrap_err().name(),
        "overflow"
    );

    drop(held);
    registry.try_acquire("new").unwrap().success();
    assert_eq!(keys(&registry), ["calling", "failing", "new", "open"]);
    calling.success();
    registry.try_acquire("newest").unwrap().success();
    assert_eq!(registry.len(), 4);
    assert!(registry.get("open").is_some() && registry.get("failing").is_some());
    let totals = registry.totals();
    assert_eq!(totals.admitted, totals.ended());
}

#[test]
fn an_entry_that_remembers_failures_goes_only_if_no_other_can() {
    let registry = breakers(2);
    registry.try_acquire("troubled").unwrap().failure();
    registry.try_acquire("well").unwrap().success();
    registry.try_acquire("new").unwrap().success();
    assert_eq!(keys(&registry), ["new", "troubled"]);
    registry.try_acquire("new").unwrap().failure();
    registry.try_acquire("third").unwrap().success();
    // Both remember; the one that was not used for longer goes, and is counted.
    assert_eq!(keys(&registry), ["new", "third"]);
    assert_eq!(registry.stats().evicted_with_memory, 1);
}

#[test]
fn windows_ramps_and_holds_are_memory_until_they_are_over() {
    let time = Arc::new(std::sync::Mutex::new(Instant::now()));
    let clock = {
        let time = time.clone();
        move || *time.lock().unwrap()
    };
    let pass = |duration| *time.lock().unwrap() += duration;
    let registry = Keyed::breakers(move |key: &String| {
        breaker(key)
            .failure_rate(FailureRate::over_time(Duration::from_secs(10)).minimum_calls(10))
            .open_for(Duration::from_secs(1))
            .ramp(Ramp::over(Duration::from_secs(5)))
            .clock(clock.clone())
    })
    .overflow(breaker("overflow"))
    .capacity(1)
    .build()
    .unwrap();
    let is_in = |key: &str| registry.get(key).is_some();

    registry
        .get_or_make("ramping")
        .force_open_for(Duration::from_secs(1));
    pass(Duration::from_secs(1));
    registry.try_acquire("ramping").unwrap().success();
    registry.try_acquire("new").unwrap().success();
    assert!(!is_in("new"), "a ramp is under way");
    pass(Duration::from_secs(5));
    registry.try_acquire("new").unwrap().success();
    assert!(
        is_in("new"),
        "the ramp is over, although no call has ended it"
    );

    registry
        .get_or_make("new")
        .force_closed_for(Duration::from_secs(2));
    registry.try_acquire("newer").unwrap().success();
    assert!(is_in("new"));
    pass(Duration::from_secs(2));
    registry.try_acquire("newer").unwrap().failure();
    assert!(is_in("newer"));
    registry.try_acquire("newer").unwrap().success();

    // No failure in a row, but one in the window.
    registry.try_acquire("newest").unwrap().success();
    assert_eq!(registry.stats().evicted_with_memory, 1);
    registry.try_acquire("newest").unwrap().failure();
    registry.try_acquire("newest").unwrap().success();
    pass(Duration::from_secs(20));
    registry.try_acquire("last").unwrap().success();
    assert_eq!(
        registry.stats().evicted_with_memory,
        1,
        "the window has forgotten it by itself"
    );
}

#[test]
fn a_bulkhead_with_a_call_or_a_waiter_stays() {
    let registry = bulkheads(1, 1);
    let running = registry.try_acquire("busy").unwrap();
    let waiting = registry.acquire("busy");
    let other = registry.try_acquire("new").unwrap();
    assert_eq!(registry.stats().overflowed, 1);
    drop(other);
    drop(running);
    // The permit has been passed to the waiter, who has not picked it up.
    assert!(registry.try_acquire("new").is_ok());
    assert!(registry.get("new").is_none());
    drop(waiting);
    assert!(registry.try_acquire("new").is_ok());
    assert!(registry.get("new").is_some() && registry.get("busy").is_none());
    let totals = registry.totals();
    assert_eq!((totals.admitted, totals.in_flight), (5, 0));
}

#[test]
fn overrides_count_again_when_the_key_comes_back() {
    let registry = builder(1)
        .overriding("brittle".to_owned(), |key| {
            CircuitBreaker::builder(key.as_str()).consecutive_failures(1)
        })
        .build()
        .unwrap();
    for _ in 0..2 {
        registry.try_acquire("brittle").unwrap().failure();
        assert!(registry.try_acquire("brittle").is_err());
        assert!(registry.remove("brittle").is_some());
        registry.try_acquire("other").unwrap().failure();
        registry.try_acquire("other").unwrap().success();
    }
}

#[test]
fn a_key_whose_guard_cannot_be_built_goes_by_the_overflow_guard_and_takes_no_room() {
    let registry = breakers(1);
    registry.try_acquire("").unwrap().success();
    assert_eq!((registry.len(), registry.stats().unbuildable), (0, 1));
    assert_eq!(registry.overflow().snapshot().succeeded, 1);
}

#[test]
fn a_panic_in_make_leaves_no_trace() {
    let registry = Keyed::breakers(|key: &String| match key.as_str() {
        "bad" => panic!("cannot make it"),
        key => breaker(key),
    })
    .overflow(breaker("overflow"))
    .capacity(1)
    .build()
    .unwrap();
    let bad = std::panic::AssertUnwindSafe(|| registry.try_acquire("bad"));
    assert!(std::panic::catch_unwind(bad).is_err());
    registry.try_acquire("good").unwrap().success();
    assert_eq!(keys(&registry), ["good"]);
}

#[test]
fn what_is_missing_or_out_of_range_is_named() {
    let missing = Keyed::breakers(|key: &String| breaker(key))
        .capacity(0)
        .build();
    let text = missing.unwrap_err().to_string();
    assert!(text.contains("`overflow`"), "{text}");
    let error = builder(0).labels(1_000_000).build().unwrap_err();
    let options: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| problem.option())
        .collect();
    assert_eq!(options, ["capacity", "labels"]);
    assert!(builder(1).labels(10_000).build().is_ok());
    let bad = Keyed::breakers(|key: &String| breaker(key))
        .overflow(CircuitBreaker::builder("overflow"))
        .build();
    assert_eq!(bad.unwrap_err().name(), "overflow");
}

#[test]
fn a_removed_guard_ends_its_calls_and_the_next_call_gets_another() {
    let registry = breakers(10);
    let call = registry.try_acquire("a").unwrap();
    let removed = registry.remove("a").unwrap();
    assert!(registry.remove("a").is_none());
    registry.try_acquire("a").unwrap().success();
    call.failure();
    assert_eq!(removed.snapshot().failed, 1);
    assert_eq!(registry.get("a").unwrap().snapshot().failed, 0);
    assert_eq!((registry.len(), registry.stats().removed), (1, 1));
}

#[test]
fn retain_takes_out_what_it_is_told_and_may_use_the_registry() {
    let registry = breakers(1_000);
    for key in 0..200 {
        registry
            .try_acquire(&*format!("{key:03}"))
            .unwrap()
            .success();
    }
    registry.get_or_make("007").force_open();
    registry.retain(|key, guard| {
        assert!(registry.get(key.as_str()).is_some());
        guard.state() == State::Closed && key.ends_with('7')
    });
    assert_eq!(registry.len(), 19);
    assert!(registry.get("007").is_none() && registry.get("017").is_some());
    assert_eq!(registry.totals().admitted, 200);
}

#[test]
fn the_first_names_keep_their_labels_even_if_they_go_and_come_back() {
    let registry = builder(2).labels(3).build().unwrap();
    for key in ["a", "b", "c", "d", "e", "a"] {
        registry.try_acquire(key).unwrap().success();
    }
    let label = |name| registry.label(name).to_string();
    assert_eq!(
        ["a", "b", "c", "d", "?"].map(label),
        ["a", "b", "c", "other", "other"]
    );
    let mut labels: Vec<_> = registry
        .iter()
        .map(|entry| (entry.key, entry.label.to_string()))
        .collect();
    labels.sort();
    assert_eq!(
        labels,
        [("a".into(), "a".into()), ("e".into(), "other".into())] as [(String, String); 2]
    );
}

#[test]
fn snapshots_are_by_key_and_bounded_registries_of_many_parts_hold_exactly_their_capacity() {
    let registry = breakers(1_000);
    for key in 0..5_000 {
        registry.try_acquire(&*key.to_string()).unwrap().success();
        assert!(registry.len() <= 1_000);
    }
    let stats = registry.stats();
    assert_eq!(
        (stats.entries, stats.evicted, stats.overflowed),
        (1_000, 4_000, 0)
    );
    let snapshots: Vec<_> = registry.snapshots().collect();
    assert_eq!(snapshots.len(), 1_000);
    for (key, snapshot) in snapshots {
        assert_eq!((&*snapshot.name, snapshot.succeeded), (key.as_str(), 1));
    }
    assert_eq!(registry.totals().succeeded, 5_000);
}

#[test]
fn concurrent_first_use_makes_one_entry() {
    for round in 0..200 {
        let made = Arc::new(AtomicUsize::new(0));
        let registry = {
            let made = made.clone();
            Keyed::breakers(move |key: &String| {
                made.fetch_add(1, Ordering::Relaxed);
                breaker(key)
            })
            .overflow(breaker("overflow"))
            .capacity(1 + round % 3)
            .build()
            .unwrap()
        };
        let together = Barrier::new(4);
        let guards: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        together.wait();
                        registry.try_acquire("first").unwrap().success();
                        registry.get("first").unwrap()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(made.load(Ordering::Relaxed) >= 1);
        assert_eq!(registry.len(), 1);
        for guard in guards {
            let snapshot = guard.snapshot();
            assert_eq!(snapshot.succeeded, 4, "all four are handles of one");
        }
        assert_eq!(registry.stats().overflowed, 0);
    }
}

#[test]
fn keys_that_all_have_one_hash_are_kept_apart() {
    #[derive(Clone, Default)]
    struct Same;
    impl BuildHasher for Same {
        type Hasher = Self;
        fn build_hasher(&self) -> Self {
            Self
        }
    }
    impl Hasher for Same {
        fn write(&mut self, _: &[u8]) {}
        fn finish(&self) -> u64 {
            7
        }
    }
    let registry = builder(100).hasher(Same).build().unwrap();
    for round in 1..=3 {
        for key in 0..100 {
            registry.try_acquire(&*key.to_string()).unwrap().success();
        }
        assert!(
            registry
                .snapshots()
                .all(|(_, snapshot)| snapshot.succeeded == round)
        );
    }
    assert_eq!(registry.len(), 100);
}

#[test]
fn keys_may_be_numbers_and_guards_bulkheads() {
    let registry = Keyed::bulkheads(|tenant: &u64| {
        Bulkhead::builder(format!("tenant {tenant}")).max_concurrent(1)
    })
    .overflow(Bulkhead::builder("strangers").max_concurrent(5))
    .build()
    .unwrap();
    let first = registry.try_acquire(&1).unwrap();
    assert_eq!(registry.try_acquire(&1).unwrap_err().name(), "tenant 1");
    assert!(registry.try_acquire(&2).is_ok());
    drop(first);
    let totals = registry.totals();
    assert_eq!(
        (totals.admitted, totals.refused(), totals.in_flight),
        (2, 1, 0)
    );
}

#[test]
fn a_listener_of_a_bulkhead_may_use_the_registry() {
    let shared: Arc<OnceLock<Keyed<String, Bulkhead>>> = Arc::default();
    let heard = Arc::new(AtomicUsize::new(0));
    let make = {
        let (shared, heard) = (shared.clone(), heard.clone());
        move |key: &String| {
            let (shared, heard) = (shared.clone(), heard.clone());
            Bulkhead::builder(key.as_str())
                .max_concurrent(1)
                .listener(move |_| {
                    let registry = shared.get().unwrap();
                    registry.get_or_make("another");
                    registry.remove("a third");
                    heard.fetch_add(1, Ordering::Relaxed);
                })
        }
    };
    let registry = Keyed::bulkheads(make)
        .overflow(Bulkhead::builder("overflow").max_concurrent(1))
        .capacity(10)
        .build()
        .unwrap();
    assert!(shared.set(registry.clone()).is_ok());
    let _permit = registry.try_acquire("one").unwrap();
    registry.try_acquire("one").unwrap_err();
    assert_eq!(heard.load(Ordering::Relaxed), 1, "the listener panicked");
    assert!(registry.get("another").is_some());
}

#[test]
fn whoever_is_displaced_is_among_the_refused_of_the_totals() {
    let registry = bulkheads(10, 1);
    let _running = registry.try_acquire("a").unwrap();
    let bulkhead = registry.get("a").unwrap();
    let mut low = task::spawn(bulkhead.with_priority(Priority::Low).acquire());
    assert_pending!(low.poll());
    let mut high = task::spawn(bulkhead.with_priority(Priority::High).acquire());
    assert_pending!(high.poll());
    assert!(assert_ready!(low.poll()).is_err());
    assert_eq!(registry.totals().refused(), 1);
}

#[test]
fn retain_spares_what_its_caller_has_made_anew_meanwhile() {
    let registry = bulkheads(10, 1);
    for key in ["a", "b"] {
        registry.get_or_make(key);
    }
    registry.retain(|key, _| {
        if key == "a" {
            registry.remove("a").unwrap();
            let _permit = registry.try_acquire("a").unwrap();
        }
        false
    });
    // The new one was not what `retain` asked about.
    assert_eq!(registry.get("a").unwrap().snapshot().admitted, 1);
    assert!(registry.get("b").is_none());

    let registry = breakers(10);
    registry.get_or_make("a");
    registry.retain(|key, _| {
        registry.remove(key.as_str()).unwrap();
        registry.try_acquire(key.as_str()).unwrap().success();
        false
    });
    assert_eq!(registry.get("a").unwrap().snapshot().succeeded, 1);
}

#[test]
fn bulkheads_are_labelled_by_their_names() {
    let registry = bulkheads(10, 1);
    registry.get_or_make("a");
    let labels: Vec<_> = registry
        .iter()
        .map(|entry| entry.label.to_string())
        .collect();
    assert_eq!(labels, ["a"]);
}

#[test]
fn a_limit_that_has_found_itself_is_memory_and_a_fixed_one_is_none() {
    let registry = Keyed::bulkheads(|key: &String| {
        let builder = Bulkhead::builder(key.as_str());
        match key.as_str() {
            "adaptive" => builder.adaptive(Aimd::builder().build().unwrap()),
            _ => builder.max_concurrent(1),
        }
    })
    .overflow(Bulkhead::builder("overflow").max_concurrent(1))
    .capacity(2)
    .build()
    .unwrap();
    for key in ["adaptive", "fixed", "other"] {
        drop(registry.try_acquire(key).unwrap());
    }
    assert!(registry.get("fixed").is_none() && registry.get("adaptive").is_some());
    assert_eq!(registry.stats().evicted_with_memory, 0);
    let _held = registry.get_or_make("other");
    drop(registry.try_acquire("new").unwrap());
    assert!(registry.get("adaptive").is_none());
    assert_eq!(registry.stats().evicted_with_memory, 1);
}

#[test]
fn a_dry_run_of_a_keys_bulkhead_refuses_nothing() {
    let registry = Keyed::bulkheads(|key: &String| {
        Bulkhead::builder(key.as_str())
            .max_concurrent(1)
            .dry_run(true)
    })
    .overflow(Bulkhead::builder("overflow").max_concurrent(1))
    .build()
    .unwrap();
    let _permits = [(); 3].map(|()| registry.try_acquire("a").unwrap());
    let snapshot = registry.get("a").unwrap().snapshot();
    assert_eq!((snapshot.admitted, snapshot.would_refuse.full), (3, 2));
}

#[test]
fn a_listener_of_a_full_bulkhead_may_use_the_registry() {
    let slot: Arc<OnceLock<Keyed<String, Bulkhead>>> = Arc::default();
    let told = Arc::new(AtomicUsize::new(0));
    let registry = {
        let (slot, told) = (slot.clone(), told.clone());
        Keyed::bulkheads(move |key: &String| {
            let (slot, told) = (slot.clone(), told.clone());
            Bulkhead::builder(key.as_str())
                .max_concurrent(1)
                .listener(move |event| {
                    let registry = slot.get().unwrap();
                    // Makes an entry, which needs what a look-up must not hold on to.
                    registry.get_or_make(&*format!("{:?}", event.kind));
                    told.fetch_add(1, Ordering::Relaxed);
                })
        })
        .overflow(Bulkhead::builder("overflow").max_concurrent(1))
        .build()
        .unwrap()
    };
    slot.set(registry.clone()).ok().unwrap();
    let _permit = registry.try_acquire("a").unwrap();
    assert!(registry.try_acquire("a").is_err());
    assert_eq!(told.load(Ordering::Relaxed), 1);
    assert_eq!(registry.len(), 2);
}

#[test]
fn who_need_not_wait_is_admitted_while_somebody_waits_for_his_smaller_share() {
    let registry = Keyed::bulkheads(|key: &String| {
        Bulkhead::builder(key.as_str())
            .max_concurrent(4)
            .max_queue(1)
            .priority_share(Priority::Low, 0.5)
    })
    .overflow(Bulkhead::builder("overflow").max_concurrent(1))
    .build()
    .unwrap();
    let low = registry.get_or_make("a").with_priority(Priority::Low);
    let _permits = [(); 2].map(|()| low.try_acquire().unwrap());
    let mut waiter = task::spawn(low.acquire());
    assert_pending!(waiter.poll());
    assert!(registry.try_acquire("a").is_ok());
}

#[test]
fn nothing_is_made_for_a_newcomer_for_whom_there_is_no_room() {
    let made = Arc::new(AtomicUsize::new(0));
    let registry = {
        let made = made.clone();
        Keyed::breakers(move |key: &String| {
            made.fetch_add(1, Ordering::Relaxed);
            breaker(key)
        })
        .overflow(breaker("overflow"))
        .capacity(2)
        .build()
        .unwrap()
    };
    assert!(registry.is_empty());
    let _held = ["a", "b"].map(|key| registry.get_or_make(key));
    assert!(!registry.is_empty());
    registry.try_acquire("c").unwrap().success();
    assert_eq!(made.load(Ordering::Relaxed), 2);
    assert_eq!(registry.stats().overflowed, 1);
}

#[test]
fn room_is_made_in_another_part_if_all_of_ones_own_are_in_use() {
    // The part is the first letter: a registry of 128 has two of them.
    #[derive(Clone)]
    struct FirstLetter;
    struct State(u64);
    impl BuildHasher for FirstLetter {
        type Hasher = State;
        fn build_hasher(&self) -> State {
            State(0)
        }
    }
    impl Hasher for State {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = match self.0 {
                    0 => u64::from(*byte == b'b') << 32 | 1,
                    hash => hash + u64::from(*byte),
                };
            }
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }
    let registry = builder(128).hasher(FirstLetter).build().unwrap();
    let _held: Vec<_> = (0..30)
        .map(|key| registry.get_or_make(&*format!("a{key}")))
        .collect();
    for key in 0..98 {
        registry.get_or_make(&*format!("b{key}"));
    }
    assert_eq!(registry.len(), 128);
    registry.try_acquire("a new one").unwrap().success();
    assert!(registry.get("a new one").is_some());
    let stats = registry.stats();
    assert_eq!(
        (stats.entries, stats.evicted, stats.overflowed),
        (128, 1, 0)
    );
}
