//! The work that every case does, and what a case is. The `rivals` and `instructions` crates at the root of the repository
//! use this file too, so that everybody is asked to do the same.
// None of them needs all of it.
#![allow(dead_code)]

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Instant,
};

use tower::{Layer, Service};

/// Makes a number of calls.
pub type Calls = Box<dyn FnMut(u64) + Send>;

pub struct Case {
    pub name: &'static str,
    pub kind: Kind,
    pub pace: Pace,
    /// Brings the guard into the state to be measured, before each slice and outside the time that counts.
    pub prepare: Option<Box<dyn Fn()>>,
    /// Makes one thread's share: a service of its own over the one guard that all threads share.
    pub thread: Box<dyn Fn() -> Calls>,
}

impl Case {
    pub fn new<S>(name: &'static str, kind: Kind, service: impl Fn() -> S + 'static) -> Self
    where
        S: Service<u64> + Send + 'static,
    {
        Self::of_calls(name, kind, move || calls_to(service()))
    }

    /// For what is not a service.
    pub fn of_calls(name: &'static str, kind: Kind, thread: impl Fn() -> Calls + 'static) -> Self {
        Self {
            name,
            kind,
            pace: Pace::Timed,
            prepare: None,
            thread: Box::new(thread),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What everything is compared with.
    Floor,
    /// Part of the results.
    Ours,
    /// Printed beside them, for comparison.
    Context,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As many calls in a slice as it has time for.
    Timed,
    /// So many calls in a slice, for a guard whose cost changes with the calls it has seen.
    Calls(u64),
}

pub fn layered<L>(layer: L) -> impl Fn() -> L::Service + 'static
where
    L: Layer<Bare> + 'static,
{
    move || layer.layer(Bare)
}

/// The same case, with a runtime at hand when it calls.
pub fn in_runtime(runtime: &Arc<tokio::runtime::Runtime>, case: Case) -> Case {
    let runtime = Arc::clone(runtime);
    let bare_thread = case.thread;
    let thread = move || -> Calls {
        let mut calls = bare_thread();
        let handle = runtime.handle().clone();
        Box::new(move |number| {
            let _entered = handle.enter();
            calls(number);
        })
    };
    Case {
        thread: Box::new(thread),
        ..case
    }
}

pub fn floor() -> Case {
    let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let thread = move || -> Calls {
        let counts = Arc::clone(&counts);
        Box::new(move |number| {
            for _ in 0..number {
                black_box(Instant::now());
                for count in &*counts {
                    black_box(count.fetch_add(1, Ordering::AcqRel));
                }
            }
        })
    };
    Case::of_calls("floor", Kind::Floor, thread)
}

/// Does nothing, at once.
#[derive(Clone)]
pub struct Bare;

impl Service<u64> for Bare {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

/// Makes each call from readiness to its outcome. Polls by hand: an executor would cost more than what is measured.
pub fn calls_to<S: Service<u64> + Send + 'static>(mut service: S) -> Calls {
    Box::new(move |number| {
        let mut cx = Context::from_waker(Waker::noop());
        for request in 0..number {
            until_ready(|| service.poll_ready(&mut cx));
            let mut call = pin!(service.call(black_box(request)));
            until_ready(|| call.as_mut().poll(&mut cx));
        }
    })
}

// Some rivals wait for each other behind a lock, and then are ready at a later poll only. What is ready is looked at where it
// is: an outcome that is moved once more costs some guards more than all they do, and measures the bench.
#[inline]
pub fn until_ready<T>(mut poll: impl FnMut() -> Poll<T>) {
    for _ in 0..1_000_000_000_u64 {
        let polled = poll();
        if black_box(&polled).is_ready() {
            return;
        }
        std::hint::spin_loop();
    }
    panic!("pending for ever")
}
