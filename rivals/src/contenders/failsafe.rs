//! failsafe. It is no Tower layer: the few lines that make it one here are the least that a user would have to write.

use std::{
    convert::Infallible,
    future::Ready,
    task::{Context, Poll},
};

use ::failsafe::{
    Any, Config, FailurePolicy, StateMachine, backoff, failure_policy,
    futures::{CircuitBreaker, ResponseFuture},
};
use tower::Service;

use super::{Contender, FOREVER, MINIMUM, RATE, WINDOW, contender};
use crate::{
    entry::{Role, Work},
    work::{Bare, Case, Kind, calls_to},
};

pub fn all() -> Vec<Contender> {
    let wait = || backoff::constant(FOREVER);
    let in_a_row = |failures| failure_policy::consecutive_failures(failures, wait());
    let rate = failure_policy::success_rate_over_time_window(RATE, MINIMUM, WINDOW, wait());

    let consecutive = Config::new().failure_policy(in_a_row(5)).build();
    let rate = Config::new().failure_policy(rate).build();
    let default = Config::new().build();
    let open = Config::new().failure_policy(in_a_row(1)).build();
    let _ = ::failsafe::CircuitBreaker::call(&open, || Err::<(), ()>(()));
    assert!(!open.is_call_permitted(), "not open");
    calls_to(Layered::new(&rate))(1_000);
    calls_to(Layered::new(&default))(1_000);

    vec![
        rival(
            Work::Consecutive,
            "",
            case("failsafe consecutive", consecutive),
        ),
        rival(Work::Time1k, "moving average", case("failsafe rate", rate)),
        rival(
            Work::Time1k,
            "its default",
            case("failsafe default", default),
        ),
        rival(Work::Refusal, "", case("failsafe open", open)),
    ]
}

fn rival(work: Work, note: &'static str, case: Case) -> Contender {
    contender(work, Role::Rival, "failsafe", note, case)
}

fn case<P>(name: &'static str, breaker: StateMachine<P, ()>) -> Case
where
    P: FailurePolicy + Send + Sync + 'static,
{
    Case::new(name, Kind::Context, move || Layered::new(&breaker))
}

struct Layered<P>(StateMachine<P, ()>, Bare);

impl<P> Layered<P> {
    fn new(breaker: &StateMachine<P, ()>) -> Self {
        Self(breaker.clone(), Bare)
    }
}

impl<P: FailurePolicy + Send + Sync> Service<u64> for Layered<P> {
    type Response = u64;
    type Error = ::failsafe::Error<Infallible>;
    type Future = ResponseFuture<Ready<Result<u64, Infallible>>, P, (), Any>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.1.poll_ready(cx).map_err(::failsafe::Error::Inner)
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        CircuitBreaker::call(&self.0, self.1.call(request))
    }
}
