//! Where the time comes from.

use std::time::Instant;

/// A monotonic clock.
///
/// The default follows tokio's clock, so that a test with paused time controls the circuit too. Any
/// `Fn() -> std::time::Instant` is a clock:
///
/// ```
/// use std::{sync::{Arc, Mutex}, time::{Duration, Instant}};
/// use tower_breaker::{CircuitBreaker, State};
///
/// let time = Arc::new(Mutex::new(Instant::now()));
/// let clock = { let time = time.clone(); move || *time.lock().unwrap() };
/// let breaker = CircuitBreaker::builder("stock")
///     .consecutive_failures(1)
///     .open_for(Duration::from_secs(30))
///     .clock(clock)
///     .build()?;
///
/// breaker.try_acquire()?.failure();
/// assert_eq!(breaker.state(), State::Open);
/// *time.lock().unwrap() += Duration::from_secs(30);
/// breaker.try_acquire()?.success();
/// assert_eq!(breaker.state(), State::Closed);
/// # Ok::<(), tower_breaker::BoxError>(())
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The time now. Must never go back.
    fn now(&self) -> Instant;
}

impl<F: Fn() -> Instant + Send + Sync + 'static> Clock for F {
    fn now(&self) -> Instant {
        self()
    }
}

/// Tokio's clock: the system's, or the runtime's own while its time is paused.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioClock;

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}
