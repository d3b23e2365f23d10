//! Retry: a policy for tower's own [`RetryLayer`](tower::retry::RetryLayer). Needs the feature `retry`.
//!
//! A failure that is over in a moment need not be the caller's. But a call that is made again is load for a service that has
//! just shown that it is in trouble: three attempts for each call is three times the load just when there should be
//! less. So [`RetryPolicy`] makes a call again only if
//!
//! 1. its result is a failure by the [classifier](crate::classify), which does not
//!    [forbid](crate::classify::ClassifyCall::forbids_retry) to make it again, and no guard further in refused it,
//! 2. the request may be sent twice, and there is a copy of it ([`Replay`]),
//! 3. it has been attempted fewer than [`max_attempts`](RetryPolicyBuilder::max_attempts) times,
//! 4. the server does not ask for a longer wait than [`retry_after_at_most`](RetryPolicyBuilder::retry_after_at_most),
//! 5. the [budget](tower::retry::budget), which all calls share, has something left,
//!
//! asked in this order. The wait before it grows with the attempts and is drawn by chance ([`Backoff`]).
//!
//! ```
//! use std::{future::ready, sync::atomic::{AtomicU32, Ordering}, time::Duration};
//! use tower::{Service, ServiceBuilder, ServiceExt, retry::RetryLayer, service_fn};
//! use tower_breaker::{BoxError, retry::{Backoff, RetryPolicy}};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), BoxError> {
//! let retry = RetryPolicy::builder(|item: &u32| Some(*item)) // reading stock twice does no harm
//!     .max_attempts(3)
//!     .backoff(Backoff::exponential(Duration::from_millis(50)).max(Duration::from_secs(1)))
//!     .build()?;
//! let calls = AtomicU32::new(0);
//! let mut stock = ServiceBuilder::new()
//!     .layer(RetryLayer::new(retry.clone()))
//!     .service(service_fn(|item: u32| {
//!         let first = calls.fetch_add(1, Ordering::Relaxed) == 0;
//!         ready(if first { Err(std::io::Error::other("reset")) } else { Ok(item) })
//!     }));
//! assert_eq!(stock.ready().await?.call(7).await?, 7);
//! assert_eq!(retry.snapshot().retries, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Over HTTP
//!
//! [`RetryPolicy::http`] (feature `http`) judges by [`HttpStatus`](crate::classify::HttpStatus), honours `Retry-After`, and makes a request
//! again only if its method is idempotent by [RFC 9110, section 9.2.2](https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2), if it
//! carries an `Idempotency-Key`, or if you [allow](HttpRequests::allow) it; and only if its body can be sent twice. Which bodies
//! can is said by a [`CopyBody`]: those that are `Clone`, or a function of yours. [`only_empty`] copies bodies without content, of
//! whatever type; a [`BufferedBody`] is a body that was read in advance, up to a limit.
//!
//! # In a stack
//!
//! Inside the breaker, outside the time-out: fallback, bulkhead, breaker, **retry**, time-out, client. So the breaker sees one
//! result for all attempts, and each attempt has its own time. What one call takes at most is then
//! attempts × time-out + the waits between; a bulkhead's permit is held for all of it. Outside the breaker works too: a refusal
//! is never retried.
//!
//! # Refusals
//!
//! A [`Refused`](crate::Refused) from further in, or tower's `Overloaded`, is not made again: who refuses does so to have fewer calls. It
//! is known in every form that [`AnyError`](crate::classify::AnyError) knows, whatever the classifier says. One that the guard has made a
//! response (`.respond()`) is known, whatever the classifier says, to a policy that begins with [`RetryPolicy::http`] or is told to
//! [look into responses](RetryPolicyBuilder::in_responses), and otherwise only to the classifiers for HTTP that are made here. For a typed guard over an error of its own use [`TypedGuard`](crate::classify::TypedGuard). The exception
//! is the breaker of one endpoint below a balancer, where the next attempt goes elsewhere:
//! [`retry_refusals`](RetryPolicyBuilder::retry_refusals).
//!
//! # The budget
//!
//! Each success puts something in, each retry takes something out; when there is not enough, failures are passed on as they come,
//! at once, until there is again. tower's [`TpsBudget`](tower::retry::budget::TpsBudget) is the default, as its own default has it: for
//! every ten successes of the last 10 s two retries, and ten a second besides. It takes a short lock at every deposit and
//! withdrawal. [`TokenBudget`] takes none, and knows no time. Share one budget between all policies for one service.
//!
//! Only calls with a copy of their request are seen by a policy of tower's, so the successes of others put nothing in.
//!
//! # When a call is given up
//!
//! Dropping the call's future ends the attempt or the wait that is under way, and nothing is made again afterwards. What was taken
//! out of the budget stays out.
//!
//! # Cost
//!
//! A call that succeeds at once costs the copy of its request, the copy of the policy that tower makes (one atomic addition), the
//! classifier and the deposit. Nothing is allocated unless the copy of the request does. Waits use tokio's timer and
//! its clock, paused or not; they panic where no timer is running, unless there is nothing to wait for.
//!
//! # Sources
//!
//! Backoff with full jitter: Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). Budgets: Finagle's
//! `RetryBudget`, as tower has it; the token bucket of AWS's SDKs ("standard retry mode": 500 tokens, 5 for a retry, 1 back for a
//! success). `Retry-After`: RFC 9110, section 10.2.3. `Idempotency-Key`: the IETF draft of that name.

mod backoff;
mod budget;
mod builder;
#[cfg(feature = "http")]
mod http;
mod policy;
mod refusals;
mod replay;
mod snapshot;
mod wait;

pub use self::{
    backoff::Backoff,
    budget::TokenBudget,
    builder::RetryPolicyBuilder,
    policy::RetryPolicy,
    refusals::{FindRefusal, InErrors},
    replay::Replay,
    snapshot::Snapshot,
    wait::RetryWait,
};
#[cfg(feature = "http")]
pub use self::{
    http::{BufferedBody, Cloned, CopyBody, HttpRequests, copy_request, only_empty},
    refusals::InResponses,
};
