//! Client-side throttle: when too few of the last calls were accepted, do not even make a share of the next ones.
//!
//! A backend that is overloaded spends capacity on refusing. If its clients go on offering ten times what it can do, it may do
//! nothing but refuse. A [`Throttle`] keeps what a client sends near what is accepted, call by call and by chance, without a
//! word from the server. It follows "Handling Overload", chapter 21 of *Site Reliability Engineering* (Beyer, Jones, Petoff and
//! Murphy, O'Reilly 2016), section "Client-Side Throttling": over a sliding window, by default two minutes, it refuses a call
//! with the probability
//!
//! ```text
//! max(0, (requests - k * accepts) / (requests + 1))
//! ```
//!
//! where `requests` counts the calls made *and* those refused here, and `accepts` the calls that the backend accepted. With
//! `k` = 2, the default, nothing is refused as long as at least half of the calls are accepted; beyond that about twice as
//! many calls are sent as are accepted, however many are offered.
//!
//! ```
//! use std::future::ready;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use tower_breaker::{BoxError, Reason, Refused, Throttle, ThrottleLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let throttle = Throttle::builder("search").minimum_requests(10).seed(1).build()?;
//! let mut search = ServiceBuilder::new()
//!     .layer(ThrottleLayer::new(throttle.clone()))
//!     .service(service_fn(|_: &str| ready(Err::<(), _>(std::io::Error::other("overloaded")))));
//! let mut refused = 0;
//! for _ in 0..100 {
//!     let err = search.ready().await?.call("rust").await.unwrap_err();
//!     if let Some(refusal) = Refused::find(&*err) {
//!         assert_eq!(refusal.reason(), Reason::Throttled);
//!         refused += 1;
//!     }
//! }
//! // At first nothing is known, then nearly all are refused, and a few always get through to see whether it is over.
//! assert!((60..100).contains(&refused), "{refused}");
//! assert_eq!(throttle.snapshot().requests, 100);
//! # Ok(())
//! # }
//! ```
//!
//! # How it differs from its neighbours
//!
//! * A [circuit breaker](crate::breaker) has two states and refuses everything in one of them; the throttle refuses a share, and
//!   has no state but its window. Use it in clients that have no breaker, of backends that are overloaded now and then rather
//!   than down: it serves as many calls as the backend takes. Both over one service is one too many: whatever one
//!   refuses the other does not see.
//! * A [bulkhead](crate::bulkhead) looks at how many calls run now; the throttle at how calls ended.
//! * tower's `RateLimit` needs to be told a rate; the throttle finds it.
//!
//! # How a call may end
//!
//! | the call | counted as |
//! |---|---|
//! | was refused here | a request |
//! | would have been refused, in a [dry run](ThrottleBuilder::dry_run) | what it ends as |
//! | is under way | nothing yet, so that a burst of first calls is not taken for an outage |
//! | finished, verdict [success](crate::classify::Verdict::Success) | a request, accepted |
//! | finished, verdict [failure](crate::classify::Verdict::Failure) | a request, not accepted |
//! | finished, verdict [ignore](crate::classify::Verdict::Ignore), such as a refusal of a guard further in | nothing |
//! | was given up: its future was dropped | nothing; with [`count_abandoned`](ThrottleBuilder::count_abandoned) a request, not accepted |
//! | panicked in the inner service | a request, not accepted; the panic goes on |
//! | the inner `poll_ready` failed or panicked | a request, not accepted |
//!
//! The book counts as not accepted only what the backend *rejects*. The default classifier takes every error for that, which
//! suits clients whose backend fails when it is overloaded; for one that fails for other reasons too, give
//! [`classify`](ThrottleLayer::classify) a closure that says failure for rejections and time-outs only.
//!
//! # What differs from the book
//!
//! * The probability is at most [`max_probability`](ThrottleBuilder::max_probability), 0.95 unless set. The book has no limit.
//!   Then, after two minutes of an outage, about one call in a whole window gets through, and recovery begins that late.
//! * Nothing is refused before the window holds [`minimum_requests`](ThrottleBuilder::minimum_requests), 20 unless set: by the
//!   formula alone, one failure as the first call refuses every second of the next.
//! * Requests count when their outcome is known, as said above.
//!
//! # Cost
//!
//! No lock and no allocation on the call path, refused calls included (a boxed error allocates its box), and one reading of the
//! clock for each call. Dice are thrown only while there is something to refuse. The window is a ring of 16 slices, which it
//! forgets one by one, so it covers between 15 and 16 sixteenths of its length. Each slice counts up to 262,143
//! calls exactly, and halves its counts beyond, so that their ratio stays.
//!
//! A call's end is counted at the time of the latest admission, to a sixteenth of a slice, instead of reading the clock again. So the window
//! must be longer than calls take: if nothing is admitted for as long as it is, what ends then is forgotten at once.

mod builder;
mod future;
mod handle;
mod layer;
mod permit;
mod service;
mod shared;
mod snapshot;

pub use self::{
    builder::ThrottleBuilder, future::ThrottleFuture, handle::Throttle, layer::ThrottleLayer,
    permit::ThrottlePermit, service::ThrottleService, snapshot::Snapshot,
};
