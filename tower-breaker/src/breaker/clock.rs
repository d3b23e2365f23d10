//! Where the time comes from.

#[cfg(feature = "quanta")]
use std::fmt;
#[cfg(feature = "quanta")]
use std::time::Duration;
use std::time::Instant;

use super::nanos::{self, Since};

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

    /// The moment from which this clock counts its nanoseconds best. Asked once, when a circuit is built. The default is the
    /// time now.
    fn origin(&self) -> Instant {
        self.now()
    }

    /// The nanoseconds since `origin`, which is what [`origin`](Self::origin) gave: what a circuit asks for at every call that
    /// needs the time. Zero for a time before. The default takes the difference to [`now`](Self::now).
    #[inline]
    fn nanos_since(&self, origin: Instant) -> u64 {
        nanos::between(origin, self.now())
    }
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
    #[inline]
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// A circuit's clock and where it counts from.
pub(super) struct Time {
    origin: Instant,
    // Of use only with tokio's clock.
    since: Since,
    // Without one it is tokio's, called directly, and instants can be hashed.
    clock: Option<Box<dyn Clock>>,
}

impl Time {
    pub(super) fn of_tokio() -> Self {
        let origin = TokioClock.origin();
        let clock: Option<Box<dyn Clock>> = match nanos::hashing_works() {
            true => None,
            false => Some(Box::new(TokioClock)),
        };
        Self::new(origin, clock)
    }

    pub(super) fn of(clock: Box<dyn Clock>) -> Self {
        Self::new(clock.origin(), Some(clock))
    }

    fn new(origin: Instant, clock: Option<Box<dyn Clock>>) -> Self {
        Self {
            origin,
            since: Since::new(origin),
            clock,
        }
    }

    pub(super) fn origin(&self) -> Instant {
        self.origin
    }

    /// Whether it is [tokio's](Self::nanos_of_tokio).
    pub(super) fn is_of_tokio(&self) -> bool {
        self.clock.is_none()
    }

    pub(super) fn instant(&self) -> Instant {
        match &self.clock {
            None => TokioClock.now(),
            Some(clock) => clock.now(),
        }
    }

    /// Nanoseconds since the origin.
    #[inline]
    pub(super) fn nanos(&self) -> u64 {
        match &self.clock {
            None => self.nanos_of_tokio(),
            Some(clock) => clock.nanos_since(self.origin),
        }
    }

    /// The same, if it is tokio's clock, which is not asked again.
    #[inline]
    pub(super) fn nanos_of_tokio(&self) -> u64 {
        let now = TokioClock.now();
        self.since
            .quickly_to(now)
            .unwrap_or_else(|| nanos::slowly_between(self.origin, now))
    }
}

/// A clock that costs about a third of the system's, by the processor's time stamp counter: the crate `quanta`, which falls back
/// to the system's clock where that counter cannot be trusted. For circuits with a rule about slow calls or over a window of
/// time, which read the clock at every call. Needs the feature `quanta`.
///
/// It knows nothing of tokio's paused time. Its rate is measured against the system's clock when the first one in a process is
/// made, which may take up to 200 ms; what the system's clock is adjusted by later, it does not follow.
#[cfg(feature = "quanta")]
#[derive(Clone)]
pub struct QuantaClock {
    clock: quanta::Clock,
    origin: Instant,
    raw: u64,
}

#[cfg(feature = "quanta")]
impl QuantaClock {
    /// Makes one.
    pub fn new() -> Self {
        let clock = quanta::Clock::new();
        Self {
            origin: Instant::now(),
            raw: clock.raw(),
            clock,
        }
    }

    #[inline]
    fn nanos(&self) -> u64 {
        // Counters of different processors may be a little apart: never before the beginning.
        self.clock.delta_as_nanos(self.raw, self.clock.raw())
    }
}

#[cfg(feature = "quanta")]
impl Default for QuantaClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "quanta")]
impl fmt::Debug for QuantaClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuantaClock").finish_non_exhaustive()
    }
}

#[cfg(feature = "quanta")]
impl Clock for QuantaClock {
    fn now(&self) -> Instant {
        self.origin + Duration::from_nanos(self.nanos())
    }

    fn origin(&self) -> Instant {
        self.origin
    }

    #[inline]
    fn nanos_since(&self, origin: Instant) -> u64 {
        if origin == self.origin {
            self.nanos()
        } else {
            nanos::between(origin, self.now())
        }
    }
}

#[cfg(all(test, feature = "quanta"))]
mod tests {
    use super::*;

    #[test]
    fn the_counter_goes_as_the_systems_clock_does() {
        let clock = QuantaClock::new();
        let (start, begun) = (clock.nanos_since(clock.origin()), Instant::now());
        while begun.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let (end, took) = (clock.nanos_since(clock.origin()), begun.elapsed());
        // Preempted between the two readings, one of them may have seen more.
        assert!(end - start >= 19_000_000, "{} ns", end - start);
        let later = clock.now().saturating_duration_since(begun);
        assert!(later >= took.mul_f64(0.95), "{later:?} after {took:?}");
    }

    #[test]
    fn another_origin_than_its_own_is_honoured() {
        let clock = QuantaClock::new();
        let earlier = clock.origin() - Duration::from_secs(5);
        let since = Duration::from_nanos(clock.nanos_since(earlier));
        assert!(since >= Duration::from_secs(5));
        let later = clock.now() + Duration::from_secs(60);
        assert_eq!(clock.nanos_since(later), 0);
    }
}
