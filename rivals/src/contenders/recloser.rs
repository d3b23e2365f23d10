//! recloser. It is no Tower layer: the few lines that make it one here are the least that a user would have to write.

use std::{
    convert::Infallible,
    future::Ready,
    hint::black_box,
    sync::Arc,
    task::{Context, Poll},
};

use ::recloser::{AnyError, AsyncRecloser, Recloser, RecloserFuture};
use tower::Service;

use super::{CALLS, Contender, FOREVER, RATE, contender};
use crate::{
    entry::{Role, Work},
    work::{Bare, Calls, Case, Kind},
};

const PLAIN: &str = "a plain function, not a service";

pub fn all() -> Vec<Contender> {
    vec![
        rival(Work::Count, service("recloser closed", closed())),
        rival(Work::Refusal, service("recloser open", open())),
        beside(Work::Count, function("recloser closed, plain", closed())),
        beside(Work::Refusal, function("recloser open, plain", open())),
    ]
}

fn rival(work: Work, case: Case) -> Contender {
    contender(work, Role::Rival, "recloser", "", case)
}

fn beside(work: Work, case: Case) -> Contender {
    contender(work, Role::Beside, "recloser", PLAIN, case)
}

fn closed() -> Recloser {
    Recloser::custom()
        .error_rate(RATE as f32)
        .closed_len(CALLS as usize)
        .open_wait(FOREVER)
        .build()
}

fn open() -> Recloser {
    let recloser = closed();
    for _ in 0..=CALLS {
        let _ = recloser.call(|| Err::<(), ()>(()));
    }
    let refused = recloser.call(|| Ok::<(), ()>(()));
    assert!(
        matches!(refused, Err(::recloser::Error::Rejected)),
        "not open"
    );
    recloser
}

fn service(name: &'static str, recloser: Recloser) -> Case {
    let recloser = AsyncRecloser::from(recloser);
    Case::new(name, Kind::Context, move || Layered(recloser.clone(), Bare))
}

fn function(name: &'static str, recloser: Recloser) -> Case {
    let recloser = Arc::new(recloser);
    let thread = move || -> Calls {
        let recloser = Arc::clone(&recloser);
        Box::new(move |number| {
            for request in 0..number {
                let call = || Ok::<_, Infallible>(black_box(request));
                drop(black_box(recloser.call(call)));
            }
        })
    };
    Case::of_calls(name, Kind::Context, thread)
}

struct Layered(AsyncRecloser, Bare);

impl Service<u64> for Layered {
    type Response = u64;
    type Error = ::recloser::Error<Infallible>;
    type Future = RecloserFuture<Ready<Result<u64, Infallible>>, AnyError>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.1.poll_ready(cx).map_err(::recloser::Error::Inner)
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        self.0.call(self.1.call(request))
    }
}
