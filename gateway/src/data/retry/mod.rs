//! Another attempt for requests that may have one: tower's retry layer with `tower-breaker`'s policy, and what the gateway says to it.

mod copies;
mod judge;

use std::{sync::Arc, time::Duration};

use tower::retry::budget::TpsBudget;
use tower_breaker::{
    BuildError,
    retry::{Backoff, RetryPolicy},
};

pub use copies::Copies;
pub use judge::RetryJudge;

use crate::config::model::Retry;

/// The policy of a route, shared by all workers: its budget is one.
pub type Policy = RetryPolicy<Copies, RetryJudge, TpsBudget>;

/// What successes put into the budget is forgotten after this.
const BUDGET_MEMORY: Duration = Duration::from_secs(10);

/// Builds the policy.
///
/// # Errors
/// The numbers are out of the range of the policy.
pub fn policy(config: &Retry) -> Result<Policy, BuildError> {
    let budget = TpsBudget::new(
        BUDGET_MEMORY,
        config.budget_per_second,
        config.budget_ratio as f32,
    );
    RetryPolicy::builder(Copies)
        .classify(RetryJudge::new(config))
        .budget(Arc::new(budget))
        .max_attempts(config.attempts)
        .backoff(Backoff::exponential(config.backoff).max(config.backoff_max))
        .retry_after_at_most(config.retry_after)
        .build()
}
