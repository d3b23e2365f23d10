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

#[cfg(test)]
mod tests {
    use std::{cell::Cell, io};

    use http::{Method, StatusCode};
    use tokio::time::Instant as TokioInstant;
    use tower::ServiceExt;

    use super::*;
    use crate::data::body::testing::{exchange, outgoing};

    const HEDGE: model::Hedge = model::Hedge {
        percentile: 0.9,
        at_least: Duration::from_millis(50),
        minimum_calls: 3,
    };

    fn retry() -> model::Retry {
        model::Retry {
            attempts: 2,
            methods: Vec::new(),
            body: 64 << 10,
            backoff: Duration::ZERO,
            backoff_max: Duration::ZERO,
            budget_ratio: 0.2,
            budget_per_second: 10,
            retry_after: Duration::ZERO,
            statuses: Vec::new(),
        }
    }

    fn budget(retries: u32) -> Arc<TpsBudget> {
        // What is there at once is all there is within its time.
        Arc::new(TpsBudget::new(Duration::from_secs(1), retries, 0.0))
    }

    /// What an attempt does: how long it takes, in milliseconds, and its status, or none for a failure.
    type Does = (u64, Option<u16>);

    /// What attempts do, one after the other.
    #[derive(Clone)]
    struct Script {
        attempts: Rc<RefCell<Vec<Does>>>,
        begun: Rc<Cell<usize>>,
        ended: Rc<Cell<usize>>,
    }

    struct Attempt {
        ended: Rc<Cell<usize>>,
    }

    impl Drop for Attempt {
        fn drop(&mut self) {
            self.ended.set(self.ended.get() + 1);
        }
    }

    impl Script {
        fn new(attempts: &[Does]) -> Self {
            let mut attempts = attempts.to_vec();
            attempts.reverse();
            Self {
                attempts: Rc::new(RefCell::new(attempts)),
                begun: Rc::default(),
                ended: Rc::default(),
            }
        }

        async fn attempt(self) -> Result<Response<()>, BoxError> {
            let (takes, status) = self.attempts.borrow_mut().pop().unwrap_or((1, Some(200)));
            self.begun.set(self.begun.get() + 1);
            let _attempt = Attempt {
                ended: self.ended.clone(),
            };
            tokio::time::sleep(Duration::from_millis(takes)).await;
            match status {
                Some(status) => Ok(Response::builder().status(status).body(()).unwrap()),
                None => Err(io::Error::other("told to").into()),
            }
        }
    }

    struct Hedged<S> {
        service: S,
        script: Script,
    }

    /// Ready to make second attempts, as enough is known; each took a millisecond.
    async fn hedged(
        retries: u32,
        attempts: &[Does],
    ) -> Hedged<impl Service<Request<Outgoing>, Response = Response<()>, Error = BoxError> + Clone>
    {
        let script = Script::new(attempts);
        let known = Rc::new(Cell::new(false));
        let inner = {
            let (script, known) = (script.clone(), known.clone());
            tower::service_fn(move |_| {
                let script = if known.get() {
                    script.clone()
                } else {
                    Script::new(&[])
                };
                script.attempt()
            })
        };
        let service = HedgeLayer::new(&HEDGE, &retry(), budget(retries)).layer(inner);
        for _ in 0..3 {
            service.clone().oneshot(get()).await.unwrap();
        }
        known.set(true);
        Hedged { service, script }
    }

    fn get() -> Request<Outgoing> {
        Request::new(Outgoing::nothing(exchange()))
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_wins_and_the_first_is_given_up() {
        let Hedged { service, script } = hedged(10, &[(10_000, Some(200)), (5, Some(201))]).await;
        let began = TokioInstant::now();
        let answer = service.oneshot(get()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let took = began.elapsed();
        assert!((55..60).contains(&took.as_millis()), "{took:?}");
        assert_eq!((script.begun.get(), script.ended.get()), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_wins_and_the_second_is_given_up() {
        let Hedged { service, script } = hedged(10, &[(60, Some(200)), (10_000, Some(201))]).await;
        assert_eq!(service.oneshot(get()).await.unwrap().status(), 200);
        assert_eq!((script.begun.get(), script.ended.get()), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_quick_is_asked_for_once() {
        let Hedged { service, script } = hedged(10, &[(45, Some(200))]).await;
        service.oneshot(get()).await.unwrap();
        assert_eq!(script.begun.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_waits_for_the_other_attempt() {
        // Of the second,
        let script = [(100, Some(200)), (5, None)];
        let hedged_ = hedged(10, &script).await;
        let answer = hedged_.service.oneshot(get()).await;
        assert_eq!(answer.unwrap().status(), 200);
        // of the first,
        let script = [(60, None), (100, Some(201))];
        let hedged_ = hedged(10, &script).await;
        let answer = hedged_.service.oneshot(get()).await;
        assert_eq!(answer.unwrap().status(), 201);
        // and of both.
        let script = [(60, None), (100, None)];
        let hedged_ = hedged(10, &script).await;
        hedged_.service.oneshot(get()).await.unwrap_err();
        assert_eq!(hedged_.script.ended.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_none_without_budget() {
        let slow = [(100, Some(200)), (100, Some(200)), (100, Some(200))];
        let Hedged { service, script } = hedged(1, &slow).await;
        service.clone().oneshot(get()).await.unwrap();
        assert_eq!(script.begun.get(), 2);
        service.oneshot(get()).await.unwrap();
        assert_eq!(script.begun.get(), 3, "no second one");
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_repeated_or_has_a_body_is_sent_once() {
        for (method, body) in [
            (Method::POST, Outgoing::nothing(exchange())),
            (Method::PUT, outgoing(Vec::new()).await.kept(100)),
        ] {
            let Hedged { service, script } = hedged(10, &[(1_000, Some(200))]).await;
            let mut request = Request::new(body);
            *request.method_mut() = method;
            service.oneshot(request).await.unwrap();
            assert_eq!(script.begun.get(), 1);
        }
    }
}
