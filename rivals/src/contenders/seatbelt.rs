//! seatbelt (oxidizer), as a Tower service. It knows one rule, a rate over time, and its window is made of slices.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use ::seatbelt::{
    RecoveryInfo, ResilienceContext,
    breaker::{Breaker, HalfOpenMode},
};
use layered::Layer as _;
use tick::Clock;
use tokio::runtime::Runtime;
use tower::Service;

use super::{Contender, FOREVER, MINIMUM, RATE, contender};
use crate::{
    entry::{Role, Work},
    work::{Case, Kind, calls_to},
};

pub fn all(runtime: &Arc<Runtime>) -> Vec<Contender> {
    // A clock of tokio's starts a task. It is kept by the breakers.
    let _entered = runtime.enter();
    let closed = breaker(RecoveryInfo::never);
    calls_to(closed.clone())(1_000);
    let open = breaker(RecoveryInfo::retry);
    calls_to(open.clone())(u64::from(MINIMUM));
    assert_open(open.clone());
    vec![
        rival(
            Work::Time1k,
            Case::new("seatbelt closed", Kind::Context, move || closed.clone()),
        ),
        rival(
            Work::Refusal,
            Case::new("seatbelt open", Kind::Context, move || open.clone()),
        ),
    ]
}

fn rival(work: Work, case: Case) -> Contender {
    contender(work, Role::Rival, "seatbelt", "", case)
}

// All services made of one layer have a circuit each; clones of one service share theirs.
fn breaker(result: fn() -> RecoveryInfo) -> Breaker<u64, Result<u64, Refused>, MayFail> {
    let context = ResilienceContext::new(Clock::new_tokio());
    Breaker::layer("rivals", &context)
        .recovery_with(move |_, _| result())
        .rejected_input_error(|_, _| Refused)
        .failure_threshold(RATE as f32)
        .min_throughput(MINIMUM)
        .break_duration(FOREVER)
        .half_open_mode(HalfOpenMode::quick())
        .layer(MayFail)
}

fn assert_open(mut service: impl Service<u64, Response = u64, Error = Refused>) {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut call = Box::pin(service.call(0));
    let outcome = std::future::Future::poll(call.as_mut(), &mut cx);
    assert!(matches!(outcome, Poll::Ready(Err(Refused))), "not open");
}

#[derive(Clone, Debug)]
struct Refused;

/// The bare service, except that it could fail: seatbelt refuses with an error of the service.
#[derive(Clone)]
struct MayFail;

impl Service<u64> for MayFail {
    type Response = u64;
    type Error = Refused;
    type Future = Ready<Result<u64, Refused>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}
