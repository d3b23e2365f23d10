//! A request that is under way to an endpoint.

use std::{fmt, sync::Arc, time::Duration};

use tower_breaker::{Permit, classify::Verdict};

use super::{clock, endpoint::Endpoint, moment::Moment};

/// Counts one request to an endpoint for as long as it is held, and tells the endpoint, once, how it went.
///
/// Dropped without a verdict the request was given up. That is a failure of the endpoint if it had had its time
/// ([`within`](Self::within)), and else says nothing about it: a client that goes away cannot make an endpoint look bad. Either way the
/// endpoint is known to take at least so long.
#[must_use = "a request that is dropped at once was given up"]
pub struct InFlight {
    endpoint: Arc<Endpoint>,
    permit: Option<Permit>,
    started: Moment,
    due: Moment,
    is_trial: bool,
    answered: bool,
    settled: bool,
}

impl InFlight {
    #[inline]
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        permit: Option<Permit>,
        is_trial: bool,
        now: Moment,
    ) -> Self {
        endpoint.count_start();
        Self {
            endpoint,
            permit,
            started: now,
            due: Moment::NEVER,
            is_trial,
            answered: false,
            settled: false,
        }
    }

    /// Where it goes.
    #[inline]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// When it began.
    pub fn started(&self) -> Moment {
        self.started
    }

    /// Whether the endpoint's circuit decides by this request whether to bring the endpoint back.
    pub fn is_trial(&self) -> bool {
        self.is_trial
    }

    /// How long the endpoint has for its answer: given up after this long, it has failed.
    #[inline]
    pub fn within(mut self, time: Duration) -> Self {
        self.due = self.started.after(time);
        self
    }

    /// The head of the answer is there: its latency is known. The request goes on, be it for its body.
    #[inline]
    pub fn answered(&mut self, now: Moment) {
        if !self.answered {
            self.answered = true;
            self.endpoint.latency().observe(self.started, now);
        }
    }

    /// Tells how it went, once; later verdicts are not heard. The request goes on, be it for its body.
    #[inline]
    pub fn settle(&mut self, verdict: Verdict, now: Moment) {
        if self.settled {
            return;
        }
        self.settled = true;
        match verdict {
            Verdict::Success => {
                self.answered(now);
                if let Some(permit) = self.permit.take() {
                    clock::at(now, || permit.success());
                }
            }
            Verdict::Failure => self.failed(now),
            Verdict::Ignore => self.ignored(),
        }
    }

    /// The request is over.
    #[inline]
    pub fn finish(mut self, verdict: Verdict, now: Moment) {
        self.settle(verdict, now);
    }

    #[cold]
    fn failed(&mut self, now: Moment) {
        // What came after the head says nothing of latency.
        let since = if self.answered { now } else { self.started };
        self.answered = true;
        self.endpoint.latency().penalize(since, now);
        self.endpoint.count_failure();
        if let Some(permit) = self.permit.take() {
            clock::at(now, || permit.failure());
        }
    }

    #[cold]
    fn ignored(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.ignore();
            if self.is_trial {
                self.endpoint.look_for_the_next_trial();
            }
        }
    }

    #[cold]
    fn given_up(&mut self) {
        let now = Moment::now();
        if now >= self.due && !self.answered {
            self.failed(now);
            return;
        }
        if !self.answered {
            // As if it had answered now.
            self.answered(now);
        }
        self.ignored();
    }
}

impl Drop for InFlight {
    #[inline]
    fn drop(&mut self) {
        if !self.settled {
            self.given_up();
        }
        self.endpoint.count_end();
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight")
            .field("endpoint", self.endpoint.name())
            .field("settled", &self.settled)
            .finish_non_exhaustive()
    }
}
