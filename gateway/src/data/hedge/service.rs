//! The layer and its service.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower::{
    BoxError, Layer, Service,
    retry::budget::{Budget, TpsBudget},
};
use tower_breaker::retry::Replay;

use super::Latencies;
use crate::{
    config::model,
    data::{
        body::Outgoing,
        exchange::Exchange,
        retry::{Copies, RetryJudge},
    },
};

/// Makes second attempts.
#[derive(Debug, Clone)]
pub struct HedgeLayer {
    rules: Rc<Rules>,
}

#[derive(Debug)]
struct Rules {
    at_least: Duration,
    latencies: RefCell<Latencies>,
    budget: Arc<TpsBudget>,
    judge: RetryJudge,
}

impl HedgeLayer {
    /// As configured, with the budget and the judge of the route's retries.
    #[must_use]
    pub fn new(config: &model::Hedge, retry: &model::Retry, budget: Arc<TpsBudget>) -> Self {
        let rules = Rules {
            at_least: config.at_least,
            latencies: RefCell::new(Latencies::new(config.percentile, config.minimum_calls)),
            budget,
            judge: RetryJudge::new(retry),
        };
        Self {
            rules: Rc::new(rules),
        }
    }
}

impl<S> Layer<S> for HedgeLayer {
    type Service = Hedge<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Hedge {
            inner,
            rules: self.rules.clone(),
        }
    }
}

/// A service whose slow calls are made twice.
#[derive(Debug, Clone)]
pub struct Hedge<S> {
    inner: S,
    rules: Rc<Rules>,
}

impl<S, B> Service<Request<Outgoing>> for Hedge<S>
where
    S: Service<Request<Outgoing>, Response = Response<B>, Error = BoxError> + Clone,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = HedgeFuture<S, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Outgoing>) -> Self::Future {
        let wait = self.rules.latencies.borrow().percentile();
        let plan = wait.and_then(|wait| {
            // Two attempts at once cannot share a body that is still coming.
            if !request.body().is_empty() || !self.rules.judge.may_repeat(request.method()) {
                return None;
            }
            let copy = Copies.replay(&request)?;
            Some(Plan {
                // A clone that is not ready belongs to nobody else: it is asked when it is needed.
                service: self.inner.clone(),
                exchange: request.body().exchange().clone(),
                copy: Some(copy),
                after: wait.max(self.rules.at_least),
            })
        });
        HedgeFuture {
            first: self.inner.call(request),
            second: None,
            first_failed: None,
            plan,
            timer: None,
            began: Instant::now(),
            rules: self.rules.clone(),
        }
    }
}

struct Plan<S> {
    service: S,
    exchange: Rc<Exchange>,
    copy: Option<Request<Outgoing>>,
    after: Duration,
}

pin_project! {
    /// A call, and perhaps a second one.
    pub struct HedgeFuture<S, F> {
        #[pin]
        first: F,
        #[pin]
        second: Option<F>,
        // What the first came to, if that was no answer to be passed on and the second is still under way.
        first_failed: Option<BoxError>,
        plan: Option<Plan<S>>,
        timer: Option<Pin<Box<Sleep>>>,
        began: Instant,
        rules: Rc<Rules>,
    }
}

impl<S, B> Future for HedgeFuture<S, S::Future>
where
    S: Service<Request<Outgoing>, Response = Response<B>, Error = BoxError>,
{
    type Output = Result<Response<B>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.first_failed.is_none()
            && let Poll::Ready(result) = this.first.poll(cx)
        {
            match result {
                Err(error) if this.second.is_some() => *this.first_failed = Some(error),
                result => {
                    if result.is_ok() {
                        this.rules
                            .latencies
                            .borrow_mut()
                            .record(this.began.elapsed());
                    }
                    return Poll::Ready(result);
                }
            }
        }
        if this.second.is_none() {
            let Some(plan) = this.plan.as_mut() else {
                return Poll::Pending;
            };
            let timer = this
                .timer
                .get_or_insert_with(|| Box::pin(sleep(plan.after)));
            ready!(timer.as_mut().poll(cx));
            ready!(plan.service.poll_ready(cx))?;
            let copy = plan.copy.take().filter(|_| this.rules.budget.withdraw());
            let exchange = plan.exchange.clone();
            let second = copy.map(|copy| {
                // Not where the first one went.
                exchange.leave_out_current();
                plan.service.call(copy)
            });
            *this.plan = None;
            let Some(second) = second else {
                return Poll::Pending;
            };
            this.second.set(Some(second));
        }
        let Some(second) = this.second.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        match (ready!(second.poll(cx)), this.first_failed.take()) {
            (Ok(response), _) => {
                // It says how slow the first one was at least, which is what must not be forgotten: else only fast ones count.
                this.rules
                    .latencies
                    .borrow_mut()
                    .record(this.began.elapsed());
                Poll::Ready(Ok(response))
            }
            (Err(_), Some(first)) => Poll::Ready(Err(first)),
            (Err(error), None) => {
                tracing::debug!(%error, "the second attempt of a hedged request failed");
                // The first one goes on; polled again after this one's end, it must not be.
                this.second.set(None);
                Poll::Pending
            }
        }
    }
}
