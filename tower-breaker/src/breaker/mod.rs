//! Circuit breaker: stop calling what keeps failing, and find out gently when it works again.
//!
//! A dependency that fails slowly costs its callers a time-out per call, and gets no rest to recover in. A
//! [`CircuitBreaker`] counts results; once its rules say that the dependency is down, it refuses calls at once for a while,
//! then lets a few trials through and closes again when they succeed.
//!
//! ```
//! use std::time::Duration;
//! use tower_breaker::{
//!     BuildError, CircuitBreaker, FailureRate,
//!     breaker::{OpenWait, Ramp},
//! };
//!
//! let breaker = CircuitBreaker::builder("inventory")
//!     .consecutive_failures(10)
//!     .failure_rate(FailureRate::over_time(Duration::from_secs(10)).threshold(0.5).minimum_calls(20))
//!     .open_for(OpenWait::exponential(Duration::from_secs(5)).max(Duration::from_secs(60)).jitter(0.2))
//!     .success_threshold(3)
//!     .ramp(Ramp::over(Duration::from_secs(10)))
//!     .build()?;
//! # let _ = breaker;
//! # Ok::<(), BuildError>(())
//! ```
//!
//! Which numbers to choose, how to roll a breaker out and how to watch it is in the guide, `docs/guide/circuit-breaker.md` in
//! the repository. [`Preset::HttpClient`] suits most calls over HTTP.
//!
//! # How it differs from its neighbours
//!
//! * tower's `Timeout` limits what one call costs; the breaker learns from many calls. They belong together: a time-out
//!   *inside* the breaker turns a hang into a failure that counts.
//! * tower's `LoadShed` and `ConcurrencyLimit`, and the [bulkhead](crate::bulkhead), look at how many calls run now; the
//!   breaker looks at how calls ended.
//! * tower's `Retry` answers a failure with another call; the breaker answers many failures with fewer calls. A retry
//!   *inside* the breaker shows it one result for all attempts.
//!
//! # States
//!
//! ```text
//!               a rule trips (results of this episode only)
//!    +--------+ ----------------------------------------------> +------+
//!    | CLOSED |                                                 | OPEN | <------+
//!    +--------+                                                 +------+        |
//!        ^  with a ramp: admits a                                  |            | a trial failed,
//!        |  growing share at first         the wait is over, and   |            | or its lease is over:
//!        |                                 a call or a check comes |            | the wait may grow
//!        | enough trials                                           v            |
//!        | succeeded                                         +-----------+      |
//!        +-------------------------------------------------- | HALF_OPEN | -----+
//!                                                            +-----------+
//! ```
//!
//! Each transition begins a new *episode* with the next generation number. A result counts only in the episode that
//! admitted the call; one that comes later is counted as `stale` and decides nothing. So a slow call from before the outage
//! neither closes a half-open circuit nor opens one that has recovered.
//!
//! * **Closed**: every call passes. Any rule opens the circuit: so many failures in a row
//!   ([`consecutive_failures`](CircuitBreakerBuilder::consecutive_failures)), a share of failures ([`FailureRate`]), or a share
//!   of slow calls ([`SlowCallRate`]), each over the last N calls or the last while.
//! * **Open**: every call is refused with what is left of the wait ([`OpenWait`]: fixed, growing with jitter, or a function; a
//!   server's `Retry-After` may lengthen it). There is no timer: at exactly the wait the next call is admitted as a trial.
//! * **Half-open**: at most [`half_open_trials`](CircuitBreakerBuilder::half_open_trials) calls of this episode are in flight, the
//!   others are refused. [`success_threshold`](CircuitBreakerBuilder::success_threshold) successes close the circuit and the first
//!   failure opens it again; or a [`TrialRate`] decides. A slow trial is a failure, if there is a rule about slow calls. A trial
//!   that outlives its [lease](CircuitBreakerBuilder::trial_lease) loses its slot and, unless set otherwise, has failed; the next
//!   call that needs a slot notices.
//! * **Closed again**: every rule begins afresh. With a [`Ramp`] a growing share of calls is admitted first.
//!
//! Who makes the trial is said by [`Recovery`]: a user's call, or a background check ([`probe_forever`](CircuitBreaker::probe_forever)).
//!
//! By hand: [`force_open`](CircuitBreaker::force_open), [`force_closed`](CircuitBreaker::force_closed) and
//! [`disable`](CircuitBreaker::disable) hold until told otherwise, [`half_open`](CircuitBreaker::half_open) ends a wait,
//! [`reset`](CircuitBreaker::reset) begins from the beginning. In a [dry run](CircuitBreakerBuilder::dry_run) nothing is refused, and
//! what would have been is counted.
//!
//! # How a call may end
//!
//! | the call | counted as | means for the rules |
//! |---|---|---|
//! | finished | what the [classifier](crate::classify) says | success, failure or nothing |
//! | took longer than [`slower_than`](SlowCallRate::slower_than) | the same, and slow | the same, and a hit for slow-call rules; a trial has failed |
//! | was refused by a guard further in | ignored, with the ready-made classifiers | nothing |
//! | was given up: its future, or its body, was dropped | abandoned | [`Abandoned`]: a failure; with a slow-call rule, only if it took that long; or as set |
//! | panicked in the inner `call` or future | failed | failure; the panic goes on |
//! | the inner `poll_ready` failed or panicked | failed | failure |
//! | a trial outlived its lease | later, as what it comes to, and stale | [`LeaseExpired`]: a failure, unless set otherwise |
//! | ended after its episode | as above, and stale | nothing |
//!
//! A trial that means nothing gives its slot back. With verdicts at the end of the body (`until_end_of_body`, feature `http`) a call
//! ends when its body does.
//!
//! # In a stack
//!
//! Outermost first: fallback, bulkhead, **breaker**, retry, time-out, balancer, a breaker for each endpoint, client. The time-out is
//! inside so that it shows as a failure; outside it works too, as an abandoned call. The bulkhead is outside so that its
//! refusals never reach the breaker.
//!
//! With the time-out inside, an abandoned call is one whose caller went away, which says nothing about the service behind:
//! set [`Abandoned::Ignore`] then, above all in servers, where clients who hang up would open the circuit.
//!
//! Under a load balancer, an endpoint with an open circuit is ready and idle, so one that prefers idle endpoints prefers it:
//! use [`back_pressure`](CircuitBreakerLayer::back_pressure) there.
//!
//! The [service](CircuitBreakerService) says in detail how readiness works. In short: an open circuit is ready and refuses in
//! `call`, and the circuit keeps no trial slot for a service that is ready but idle.
//!
//! # Cost
//!
//! No lock and no allocation on the call path, refused calls included (a boxed error allocates its box). A closed circuit with
//! only a rule about failures in a row, or a rate over calls, reads no clock; a rate over time, a slow-call rule,
//! [`Abandoned::FailureAfter`] and a ramp under way read it. The state is one atomic word; a success on a circuit without failures only reads it.
//! Each rate adds a read-modify-write per call, and costs the same whatever the traffic. Totals are exact and cost
//! neither. Transitions take a short lock, to reach the listeners in order; calls never do. `cargo bench -p tower-breaker` measures it.
//!
//! # Sources
//!
//! The pattern is from Michael Nygard, *Release It!* (2nd edition 2018, chapter "Stability Patterns"). That slow counts as broken:
//! Dean and Barroso, "The Tail at Scale" (2013). That recovery needs fewer calls than normal service: Bronson and others,
//! "Metastable Failures in Distributed Systems" (2021). Jitter: Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
//! `Retry-After`: RFC 9110, section 10.2.3. That results must be checked against the episode that admitted them, that windows must
//! slide and that trials need a lease are lessons from the defects of the pattern's many implementations.

mod builder;
mod clock;
#[cfg(feature = "serde")]
mod config;
mod counters;
mod deadline;
#[cfg(feature = "http")]
pub mod end_of_body;
mod events;
mod future;
mod gate;
mod gauge;
mod handle;
mod journal;
mod keyed;
mod layer;
mod leases;
#[cfg(all(test, breaker_loom))]
mod loom_tests;
mod machine;
mod nanos;
mod permit;
mod policy;
mod probe;
mod ramp;
mod record;
mod service;
mod shared;
mod snapshot;
mod transition;
mod wait;
pub(crate) mod window;
mod word;

#[cfg(feature = "quanta")]
pub use self::clock::QuantaClock;
#[cfg(feature = "serde")]
pub use self::config::CircuitBreakerConfig;
#[cfg(feature = "http")]
pub use self::end_of_body::EndOfBodyLayer;
pub(crate) use self::permit::Admission;
pub use self::{
    builder::{
        CircuitBreakerBuilder, FailureRate, OpenWait, Preset, Ramp, SlowCallRate, TrialRate,
    },
    clock::{Clock, TokioClock},
    events::Events,
    future::CircuitBreakerFuture,
    handle::CircuitBreaker,
    layer::CircuitBreakerLayer,
    permit::Permit,
    policy::{Abandoned, LeaseExpired, Recovery},
    service::CircuitBreakerService,
    snapshot::{
        Control, RateKind, Refusals, Snapshot, TimeInState, TransitionCounts, WindowSnapshot,
    },
    transition::{Cause, Episode, State, Transition},
};
