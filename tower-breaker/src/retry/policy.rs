use std::{fmt, sync::Arc, time::Duration};

use tower::retry::{
    Policy,
    budget::{Budget, TpsBudget},
};

use super::{
    Backoff, FindRefusal, InErrors, Replay, RetryPolicyBuilder, RetryWait, Snapshot,
    builder::Refusals,
    refusals,
    snapshot::{Count, Counters},
};
use crate::{
    classify::{AnyError, Classify, ClassifyCall, Verdict, refusal::Refusal},
    dice::Dice,
};

/// Decides which calls are made again, and when; for tower's [`RetryLayer`](tower::retry::RetryLayer). See the
/// [module](super) for how.
///
/// Copies share options, budget and totals; each call counts its attempts in a copy of its own, which tower makes.
pub struct RetryPolicy<P, C = AnyError, B: ?Sized = TpsBudget, R = InErrors> {
    shared: Arc<Shared<P, C, B, R>>,
    /// How often the call has been attempted that this copy was made for.
    attempts: u32,
}

pub(super) struct Shared<P, C, B: ?Sized, R> {
    pub(super) replay: P,
    pub(super) classify: C,
    pub(super) budget: Arc<B>,
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
    pub(super) retry_after_at_most: Duration,
    pub(super) refusals: Option<Refusals>,
    pub(super) look: R,
    pub(super) dice: Dice,
    pub(super) counters: Counters,
}

impl<P> RetryPolicy<P> {
    /// Begins a policy that makes requests again as `replay` says: a [`Replay`], such as any
    /// `Fn(&Request) -> Option<Request>`.
    pub fn builder(replay: P) -> RetryPolicyBuilder<P> {
        RetryPolicyBuilder::new(replay)
    }
}

#[cfg(feature = "http")]
impl RetryPolicy<super::HttpRequests> {
    /// Begins a policy for HTTP requests whose bodies can be cloned: [`HttpRequests`](super::HttpRequests), judged by
    /// [`HttpStatus`](crate::classify::HttpStatus), and with refusals [known in responses](RetryPolicyBuilder::in_responses).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body_util::Full;
    /// use tower::{Service, ServiceBuilder, retry::RetryLayer};
    /// use tower_breaker::{BoxError, BuildError, retry::RetryPolicy};
    ///
    /// fn retrying<S>(client: S) -> Result<impl Service<http::Request<Full<Bytes>>>, BuildError>
    /// where
    ///     S: Service<http::Request<Full<Bytes>>, Response = http::Response<String>, Error = BoxError> + Clone,
    /// {
    ///     let retry = RetryPolicy::http().max_attempts(3).build()?;
    ///     Ok(ServiceBuilder::new().layer(RetryLayer::new(retry)).service(client))
    /// }
    /// ```
    pub fn http() -> RetryPolicyBuilder<
        super::HttpRequests,
        crate::classify::HttpStatus,
        TpsBudget,
        super::InResponses,
    > {
        Self::builder(super::HttpRequests::new())
            .classify(crate::classify::HttpStatus)
            .in_responses()
    }
}

impl<P, C, B: ?Sized, R> RetryPolicy<P, C, B, R> {
    pub(super) fn from_shared(shared: Shared<P, C, B, R>) -> Self {
        Self {
            shared: Arc::new(shared),
            attempts: 0,
        }
    }

    /// What it has decided so far.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.counters.snapshot()
    }

    /// The budget.
    pub fn budget(&self) -> &Arc<B> {
        &self.shared.budget
    }
}

impl<Req, Res, Err, P, C, B, R> Policy<Req, Res, Err> for RetryPolicy<P, C, B, R>
where
    P: Replay<Req>,
    C: Classify<Req, Res, Err>,
    B: Budget + ?Sized,
    R: FindRefusal<Res>,
    Err: 'static,
{
    type Future = RetryWait;

    fn retry(&mut self, request: &mut Req, result: &mut Result<Res, Err>) -> Option<Self::Future> {
        let shared = &*self.shared;
        self.attempts += 1;
        let asked = match refusals::find(&shared.look, result.as_ref()) {
            Some(refusal) => {
                if !shared.retries_refusal(refusal) {
                    shared.counters.add(Count::Refused);
                    return None;
                }
                None
            }
            None => {
                let judge = shared.classify.begin(request);
                let asked = judge.retry_after(result.as_ref());
                let is_forbidden = judge.forbids_retry(result.as_ref());
                match judge.verdict(result.as_ref()) {
                    Verdict::Success => {
                        shared.budget.deposit();
                        return None;
                    }
                    Verdict::Ignore => return None,
                    Verdict::Failure if is_forbidden => {
                        shared.counters.add(Count::Forbidden);
                        return None;
                    }
                    Verdict::Failure => asked,
                }
            }
        };
        match shared.wait(self.attempts, asked) {
            Ok(wait) => {
                shared.counters.add(Count::Retry);
                Some(RetryWait::new(wait))
            }
            Err(why_not) => {
                shared.counters.add(why_not);
                None
            }
        }
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        // Before the last attempt too: without a copy tower does not say how it ended, and its success is worth a deposit.
        let copy = self.shared.replay.replay(request);
        if copy.is_none() {
            self.shared.counters.add(Count::NotReplayable);
        }
        copy
    }
}

impl<P, C, B: Budget + ?Sized, R> Shared<P, C, B, R> {
    fn retries_refusal(&self, refusal: Refusal<'_>) -> bool {
        match (&self.refusals, refusal) {
            (Some(which), Refusal::Guard(refused)) => which(refused),
            _ => false,
        }
    }

    /// How long to wait before the next attempt, after so many failed ones.
    fn wait(&self, attempts: u32, asked: Option<Duration>) -> Result<Duration, Count> {
        if attempts >= self.max_attempts {
            return Err(Count::OutOfAttempts);
        }
        let asked = asked.unwrap_or(Duration::ZERO);
        if asked > self.retry_after_at_most {
            return Err(Count::AskedToWaitTooLong);
        }
        // Last, so that only what is made again is paid for.
        if !self.budget.withdraw() {
            return Err(Count::OutOfBudget);
        }
        Ok(asked + self.backoff.draw(attempts, &self.dice))
    }
}

impl<P, C, B: ?Sized, R> Clone for RetryPolicy<P, C, B, R> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            attempts: self.attempts,
        }
    }
}

impl<P, C, B: ?Sized, R> fmt::Debug for RetryPolicy<P, C, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("max_attempts", &self.shared.max_attempts)
            .field("backoff", &self.shared.backoff)
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}
