//! Circuit breaker: stop calling what keeps failing, and find out gently when it works again.
//!
//! A dependency that fails slowly costs its callers a time-out per call, and gets no rest to recover in. A
//! [`CircuitBreaker`] counts results; once its rules say that the dependency is down, it refuses calls at once for a while,
//! then lets a few trials through and closes again when they succeed.
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
//!        ^                                                         |            |
//!        | success_threshold                a call (or a check)    |            | first failed
//!        | trials succeeded                 after open_for         |            | trial
//!        |                                                         v            |
//!        |                                                   +-----------+      |
//!        +-------------------------------------------------- | HALF_OPEN | -----+
//!                                                            +-----------+
//! ```
//!
//! Each transition begins a new *episode* with the next generation number. A result counts only in the episode that
//! admitted the call; one that comes later is counted as `stale` and decides nothing. So a slow call from before the outage
//! neither closes a half-open circuit nor opens one that has recovered.
//!
//! * **Closed**: every call passes. A rule opens the circuit: so many failures in a row
//!   ([`consecutive_failures`](CircuitBreakerBuilder::consecutive_failures)), or a share of the last N calls
//!   ([`failure_rate`](CircuitBreakerBuilder::failure_rate)); with both, whichever trips first.
//! * **Open**: every call is refused with what is left of the wait. There is no timer: at exactly
//!   [`open_for`](CircuitBreakerBuilder::open_for) the next call is admitted as a trial.
//! * **Half-open**: at most [`half_open_trials`](CircuitBreakerBuilder::half_open_trials) calls of this episode are in flight, the
//!   others are refused. [`success_threshold`](CircuitBreakerBuilder::success_threshold) successes close the circuit, and every rule
//!   begins afresh; the first failure opens it again.
//!
//! With [`Recovery::Probed`] no user's call is a trial: a background check is, see
//! [`probe_forever`](CircuitBreaker::probe_forever). By hand there are [`force_open`](CircuitBreaker::force_open),
//! [`force_closed`](CircuitBreaker::force_closed) and [`reset`](CircuitBreaker::reset).
//!
//! # How a call may end
//!
//! | the call | counted as | means for the rules |
//! |---|---|---|
//! | finished | what the [classifier](crate::classify) says | success, failure or nothing |
//! | was refused by a guard further in | ignored, with the ready-made classifiers | nothing |
//! | was given up: its future was dropped | abandoned | [`Abandoned`]: a failure, unless set otherwise |
//! | panicked in the inner `call` or future | failed | failure; the panic goes on |
//! | the inner `poll_ready` failed or panicked | failed | failure |
//! | ended after its episode | as above, and stale | nothing |
//!
//! A trial that means nothing gives its slot back. A trial that hangs keeps its slot until its caller gives it up, so put a
//! time-out around the stack or inside it.
//!
//! # In a stack
//!
//! Outermost first: fallback, bulkhead, **breaker**, retry, time-out, client. The time-out is inside so that it shows as a
//! failure; outside it works too, as an abandoned call. The bulkhead is outside so that its refusals never reach the breaker.
//!
//! With the time-out inside, an abandoned call is one whose caller went away, which says nothing about the service behind:
//! set [`Abandoned::Ignore`] then, above all in servers, where clients who hang up would open the circuit.
//!
//! Under a load balancer, an endpoint with an open circuit is ready and idle, so one that prefers idle endpoints prefers it.
//! Put the breaker above the balancer.
//!
//! The [service](CircuitBreakerService) says in detail how readiness works. In short: an open circuit is ready and refuses in
//! `call`, and the circuit keeps no trial slot for a service that is ready but idle.
//!
//! # Cost
//!
//! No lock and no allocation on the call path, refused calls included (a boxed error allocates its box). A closed circuit
//! reads no clock, except for [`Abandoned::FailureAfter`]. The state is one atomic word; a success on a circuit without
//! failures only reads it. The rate rule adds one read-modify-write per call while all is well. Totals are exact and cost
//! neither. Transitions take a short lock, to reach the listeners in order; calls never do.
//!
//! # Sources
//!
//! The pattern is from Michael Nygard, *Release It!* (2nd edition 2018, chapter "Stability Patterns"). That results must be
//! checked against the episode that admitted them, and that the window must slide, are lessons from the defects of its many
//! implementations.

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
mod layer;
mod leases;
#[cfg(all(test, breaker_loom))]
mod loom_tests;
mod machine;
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
mod window;
mod word;

#[cfg(feature = "quanta")]
pub use self::clock::QuantaClock;
#[cfg(feature = "serde")]
pub use self::config::CircuitBreakerConfig;
#[cfg(feature = "http")]
pub use self::end_of_body::EndOfBodyLayer;
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
    snapshot::{Control, RateKind, Snapshot, TimeInState, WindowSnapshot},
    transition::{Cause, State, Transition},
};
