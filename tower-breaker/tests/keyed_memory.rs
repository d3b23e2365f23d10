//! What a registry allocates: nothing for a known key, no more than a kibibyte for an entry, and nothing that stays when one goes.

#![allow(clippy::unwrap_used)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    convert::Infallible,
    pin::pin,
    task::{Context, Waker},
};

use tower::{Layer, Service, service_fn};
use tower_breaker::{Bulkhead, CircuitBreaker, Keyed, KeyedLayer, keyed::by};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: hands everything on to the system's allocator; counting neither allocates nor fails.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + layout.size() as isize);
        // SAFETY: the caller's promises are the ones that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get() - layout.size() as isize);
        // SAFETY: as above; `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn breakers(capacity: usize) -> Keyed<String, CircuitBreaker> {
    let breaker = |name: &str| CircuitBreaker::builder(name).consecutive_failures(2);
    Keyed::breakers(move |key: &String| breaker(key))
        .overflow(breaker("overflow"))
        .capacity(capacity)
        .build()
        .unwrap()
}

fn bulkheads(capacity: usize) -> Keyed<String, Bulkhead> {
    let bulkhead = |name: &str| Bulkhead::builder(name).max_concurrent(1);
    Keyed::bulkheads(move |key: &String| bulkhead(key))
        .overflow(bulkhead("overflow"))
        .capacity(capacity)
        .build()
        .unwrap()
}

fn ready<T>(future: impl Future<Output = T>) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(future).poll(&mut cx).is_ready());
}

#[test]
fn no_call_with_a_known_key_allocates_whatever_becomes_of_it() {
    let breakers = breakers(2);
    let bulkheads = bulkheads(2);
    for _ in 0..2 {
        breakers.try_acquire("open").unwrap().failure();
    }
    breakers.try_acquire("closed").unwrap().success();
    breakers.get("closed").unwrap().set_dry_run(false);
    drop(bulkheads.try_acquire("free").unwrap());
    let full = bulkheads.try_acquire("full").unwrap();
    let inner = || service_fn(async |_: &'static str| Ok::<_, Infallible>(()));
    let by = || by::part(|key: &&'static str| Some(*key));
    let mut breaking = KeyedLayer::new(breakers.clone(), by())
        .typed()
        .layer(inner());
    let mut refusing = KeyedLayer::new(bulkheads.clone(), by())
        .typed()
        .layer(inner());
    let mut waiting = KeyedLayer::new(bulkheads.clone(), by())
        .waiting()
        .typed()
        .layer(inner());
    let mut scenario = || {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Service::<&'static str>::poll_ready(&mut waiting, &mut cx).is_ready());
        for key in ["open", "closed"] {
            ready(breaking.call(key));
            drop(breakers.try_acquire(key));
        }
        for key in ["free", "full"] {
            ready(refusing.call(key));
            ready(waiting.call(key));
        }
        // No room, since both are in use. This one has no entry, and gets none.
        let held = (breakers.get("open"), breakers.get("closed"));
        ready(breaking.call("unknown"));
        drop(held);
    };
    // What a thread needs once.
    scenario();
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        scenario();
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    drop(full);
    assert_eq!((breakers.len(), bulkheads.len()), (2, 2));
    assert_eq!(breakers.stats().overflowed, 101);
    assert_eq!(bulkheads.totals().refused(), 202);
}

// Names of hosts, as long as they are: 18 bytes.
fn bytes_per_entry(acquire: impl Fn(&str)) -> isize {
    const ENTRIES: usize = 10_000;
    let before = BYTES.get();
    for host in 0..ENTRIES {
        acquire(&format!("host-{host:05}.example"));
    }
    (BYTES.get() - before) / ENTRIES as isize
}

#[test]
fn an_entry_takes_no_more_than_a_kibibyte() {
    let breakers = breakers(10_000);
    let breaker = bytes_per_entry(|key| breakers.try_acquire(key).unwrap().success());
    let bulkheads = bulkheads(10_000);
    let bulkhead = bytes_per_entry(|key| drop(bulkheads.try_acquire(key).unwrap()));
    println!("{breaker} bytes for a circuit, {bulkhead} for a bulkhead");
    assert_eq!((breakers.len(), bulkheads.len()), (10_000, 10_000));
    assert!(breaker <= 1_024, "{breaker} bytes for a circuit");
    assert!(bulkhead <= 1_024, "{bulkhead} bytes for a bulkhead");
}

#[test]
fn what_is_thrown_out_leaves_nothing_behind() {
    const KEYS: usize = if cfg!(debug_assertions) {
        100_000
    } else {
        1_000_000
    };
    let registry = breakers(100);
    let call = |key: usize| {
        let key = format!("host-{key:07}.example");
        registry.try_acquire(&*key).unwrap().success();
    };
    (0..1_000).for_each(call);
    let before = BYTES.get();
    (1_000..KEYS).for_each(call);
    let more = BYTES.get() - before;
    assert!(more.abs() < 1_024, "{more} bytes more");
    assert_eq!(registry.stats().evicted as usize, KEYS - 100);
}
