use std::{fmt, sync::Arc, time::Duration};

use tower::retry::budget::TpsBudget;

use super::{Backoff, InErrors, RetryPolicy, policy::Shared, snapshot::Counters};
use crate::{BuildError, Problem, Refused, classify::AnyError, dice::Dice};

const MOST_ATTEMPTS: u32 = 100;
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Which refusals may be made again.
pub(super) type Refusals = Box<dyn Fn(&Refused) -> bool + Send + Sync>;

/// Collects the options of a [`RetryPolicy`]; see [`RetryPolicy::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct RetryPolicyBuilder<P, C = AnyError, B: ?Sized = TpsBudget, R = InErrors> {
    replay: P,
    classify: C,
    budget: Arc<B>,
    max_attempts: u32,
    backoff: Backoff,
    retry_after_at_most: Duration,
    refusals: Option<Refusals>,
    look: R,
    seed: Option<u64>,
}

impl<P> RetryPolicyBuilder<P> {
    pub(super) fn new(replay: P) -> Self {
        Self {
            replay,
            classify: AnyError,
            budget: Arc::new(TpsBudget::default()),
            max_attempts: 3,
            backoff: Backoff::default(),
            retry_after_at_most: Duration::from_secs(5),
            refusals: None,
            look: InErrors,
            seed: None,
        }
    }
}

impl<P, C, B: ?Sized, R> RetryPolicyBuilder<P, C, B, R> {
    /// What a failure is: a [`Classify`](crate::classify::Classify), by default [`AnyError`]. What is ignored is not made again.
    ///
    /// It is asked when an attempt has ended, with the copy of its request that is to be sent again, and also how long the
    /// service asks to be left alone ([`retry_after`](crate::classify::ClassifyCall::retry_after)), whatever the protocol.
    pub fn classify<C2>(self, classify: C2) -> RetryPolicyBuilder<P, C2, B, R> {
        RetryPolicyBuilder {
            replay: self.replay,
            classify,
            budget: self.budget,
            max_attempts: self.max_attempts,
            backoff: self.backoff,
            retry_after_at_most: self.retry_after_at_most,
            refusals: self.refusals,
            look: self.look,
            seed: self.seed,
        }
    }

    /// The budget that retries are taken from: a [`Budget`](tower::retry::budget::Budget), shared by whoever else has it. The
    /// default is a [`TpsBudget`] of its own, with tower's defaults.
    pub fn budget<B2: ?Sized>(self, budget: Arc<B2>) -> RetryPolicyBuilder<P, C, B2, R> {
        RetryPolicyBuilder {
            replay: self.replay,
            classify: self.classify,
            budget,
            max_attempts: self.max_attempts,
            backoff: self.backoff,
            retry_after_at_most: self.retry_after_at_most,
            refusals: self.refusals,
            look: self.look,
            seed: self.seed,
        }
    }

    /// How often one call is attempted, the first time included: 1 to 100. The default is 3.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// How long to wait before each retry. The default begins with 50 ms, doubles, and stops at 5 s.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long a wait that the service asks for is heeded: 0 s to 1 h. The default is 5 s.
    ///
    /// It is waited for, and then the backoff on top of it, so that those who were told the same do not come back together. If the
    /// service asks for more than this, the call is not made again: its failure is passed on at once, with whatever it says about
    /// the time.
    pub fn retry_after_at_most(mut self, wait: Duration) -> Self {
        self.retry_after_at_most = wait;
        self
    }

    /// Makes calls again that a guard further in refused, if `which` says so; by default none.
    ///
    /// For breakers of single endpoints below a balancer, where the next attempt may go to another endpoint. They use up attempts and
    /// budget as failures do, and the wait that a refusal tells is not waited for, since it is that endpoint's. Refusals
    /// that have been made responses are among them only where they are [looked for](Self::in_responses).
    pub fn retry_refusals(
        mut self,
        which: impl Fn(&Refused) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.refusals = Some(Box::new(which));
        self
    }

    /// Looks for refusals in the extensions of HTTP responses too, where guards that answer by themselves leave them, before the classifier
    /// is asked: so no classifier makes a failure of them. Does [`RetryPolicy::http`] by itself.
    #[cfg(feature = "http")]
    pub fn in_responses(self) -> RetryPolicyBuilder<P, C, B, super::InResponses> {
        RetryPolicyBuilder {
            replay: self.replay,
            classify: self.classify,
            budget: self.budget,
            max_attempts: self.max_attempts,
            backoff: self.backoff,
            retry_after_at_most: self.retry_after_at_most,
            refusals: self.refusals,
            look: super::InResponses,
            seed: self.seed,
        }
    }

    /// Makes the waits repeatable, for tests. By default each policy is seeded differently.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds the policy.
    ///
    /// # Errors
    ///
    /// Names every option that is out of range, all at once.
    pub fn build(self) -> Result<RetryPolicy<P, C, B, R>, BuildError> {
        let mut problems = Vec::new();
        if !(1..=MOST_ATTEMPTS).contains(&self.max_attempts) {
            let allowed = format!("1 to {MOST_ATTEMPTS}");
            problems.push(Problem::new("max_attempts", self.max_attempts, allowed));
        }
        self.backoff.check(&mut problems);
        if self.retry_after_at_most > LONGEST {
            let wait = self.retry_after_at_most;
            problems.push(Problem::new("retry_after_at_most", wait, "0 s to 1 h"));
        }
        BuildError::check("policy", "retry", problems)?;
        Ok(RetryPolicy::from_shared(Shared {
            replay: self.replay,
            classify: self.classify,
            budget: self.budget,
            max_attempts: self.max_attempts,
            backoff: self.backoff,
            retry_after_at_most: self.retry_after_at_most,
            refusals: self.refusals,
            look: self.look,
            dice: self.seed.map_or_else(Dice::any, Dice::new),
            counters: Counters::new(),
        }))
    }
}

impl<P, C, B: ?Sized, R> fmt::Debug for RetryPolicyBuilder<P, C, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicyBuilder")
            .field("max_attempts", &self.max_attempts)
            .field("backoff", &self.backoff)
            .field("retry_after_at_most", &self.retry_after_at_most)
            .finish_non_exhaustive()
    }
}
