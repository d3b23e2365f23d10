//! Publishing costs calls nothing.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::Duration,
};

use tower_breaker::{
    Bulkhead, CircuitBreaker,
    observe::{self, Guards, Metrics, RefusalLog},
};

use crate::scrape::Exporter;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: hands everything on to the system's allocator; counting neither allocates nor fails.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are the ones that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn no_call_allocates_while_its_guards_are_published_and_logged() {
    let breaker = CircuitBreaker::builder("a")
        .consecutive_failures(1)
        .open_for(Duration::from_secs(3600))
        .listener(observe::log_transition)
        .build()
        .unwrap();
    let bulkhead = Bulkhead::builder("a")
        .max_concurrent(1)
        .listener(observe::log_bulkhead_events(Duration::from_secs(10)))
        .build()
        .unwrap();
    let guards = Guards::new();
    guards.breaker(&breaker).bulkhead(&bulkhead);
    let metrics = Metrics::new(guards.clone());
    let log = RefusalLog::new(guards);
    let exporter = Exporter::new();
    let look = || {
        exporter.scrape(&metrics);
        log.report();
    };

    let calls = || {
        for _ in 0..1_000 {
            let permit = breaker.try_acquire();
            let place = bulkhead.try_acquire();
            drop(bulkhead.try_acquire());
            drop(place);
            if let Ok(permit) = permit {
                permit.success();
            }
        }
    };
    for is_open in [false, true] {
        if is_open {
            breaker.force_open();
        }
        // What a thread needs once.
        calls();
        look();
        let before = ALLOCATIONS.get();
        calls();
        assert_eq!(ALLOCATIONS.get() - before, 0);
    }
    assert_eq!(breaker.snapshot().refused, 2_000);
}
