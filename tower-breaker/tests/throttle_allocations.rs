//! Neither a call that a throttle admits nor one that it refuses allocates, nor does one that needs no fallback.

#![allow(clippy::unwrap_used)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    convert::Infallible,
    future::ready,
    pin::pin,
    task::{Context, Poll, Waker},
};

use tower::{Service, service_fn};
use tower_breaker::{
    Error, FallbackLayer, Throttle, ThrottleLayer, classify::Verdict, fallback::Happened,
};
use tower_layer::Layer;

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

/// Makes one call and gives how often that allocated.
fn allocations<S: Service<u32>>(service: &mut S) -> (Result<S::Response, S::Error>, usize) {
    let mut cx = Context::from_waker(Waker::noop());
    let before = ALLOCATIONS.get();
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
    let answer = match pin!(service.call(1)).poll(&mut cx) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("pending"),
    };
    (answer, ALLOCATIONS.get() - before)
}

#[test]
fn neither_admitting_nor_refusing_allocates() {
    let throttle = Throttle::builder("test")
        .minimum_requests(1)
        .seed(1)
        .build()
        .unwrap();
    let mut service = ThrottleLayer::new(throttle.clone())
        .classify(|_: Result<&u32, &Infallible>| Verdict::Failure)
        .typed()
        .layer(service_fn(|request: u32| ready(Ok(request))));
    // A thread gets its number for the counters with its first call.
    let _first = allocations(&mut service);
    let (mut admitted, mut refused) = (0, 0);
    for _ in 0..1_000 {
        let (answer, allocations) = allocations(&mut service);
        assert_eq!(allocations, 0);
        match answer {
            Ok(_) => admitted += 1,
            Err(Error::Refused(_)) => refused += 1,
            Err(Error::Inner(never)) => match never {},
        }
    }
    assert!(admitted > 20 && refused > 900, "{admitted}, {refused}");
}

#[test]
fn a_fallback_allocates_nothing_for_values_and_functions() {
    let inner = service_fn(|request: u32| {
        ready(if request == 0 {
            Ok(request)
        } else {
            Err("down")
        })
    });
    let mut with_value = FallbackLayer::new("value").value(7).layer(inner);
    let mut with_function = FallbackLayer::new("function")
        .answer(|_: Happened<u32, &str>| Ok(7))
        .layer(inner);
    let mut not_needed = FallbackLayer::new("not needed")
        .value(7)
        .layer(service_fn(|request: u32| ready(Ok::<_, &str>(request))));
    let _first = allocations(&mut with_value);
    assert_eq!(allocations(&mut with_value), (Ok(7), 0));
    assert_eq!(allocations(&mut with_function), (Ok(7), 0));
    assert_eq!(allocations(&mut not_needed), (Ok(1), 0));
}
