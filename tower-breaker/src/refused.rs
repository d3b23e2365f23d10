//! The typed refusal: who refused a call, why, and how long until another try makes sense.

use std::{cell::Cell, error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::breaker::State;

/// Why a guard refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The circuit is open.
    CircuitOpen,
    /// The circuit is half-open and admits no further trial call for now.
    HalfOpenFull,
    /// The circuit is held open by hand.
    ForcedOpen,
    /// The circuit has closed again, but admits only a growing share of the calls for now.
    Ramping,
    /// The bulkhead runs as many calls as it may, and this call may not wait.
    BulkheadFull,
    /// The bulkhead runs as many calls as it may, and its queue is full.
    QueueFull,
    /// The call waited in the bulkhead's queue for as long as it was allowed to.
    WaitedTooLong,
}

impl Reason {
    /// A short, stable name for logs and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CircuitOpen => "circuit_open",
            Self::HalfOpenFull => "half_open_full",
            Self::ForcedOpen => "forced_open",
            Self::Ramping => "ramping",
            Self::BulkheadFull => "bulkhead_full",
            Self::QueueFull => "queue_full",
            Self::WaitedTooLong => "waited_too_long",
        }
    }

    /// The state of the circuit that refused; `None` if it was no circuit.
    pub const fn state(self) -> Option<State> {
        match self {
            Self::CircuitOpen | Self::ForcedOpen => Some(State::Open),
            Self::HalfOpenFull => Some(State::HalfOpen),
            Self::Ramping => Some(State::Closed),
            Self::BulkheadFull | Self::QueueFull | Self::WaitedTooLong => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CircuitOpen => "the circuit is open",
            Self::HalfOpenFull => "the circuit is half-open and admits no further trial call",
            Self::ForcedOpen => "the circuit is held open by hand",
            Self::Ramping => {
                "the circuit has closed again and admits only a part of the calls for now"
            }
            Self::BulkheadFull => "as many calls are running as may run at once",
            Self::QueueFull => "the queue is full",
            Self::WaitedTooLong => "the call waited in the queue for too long",
        })
    }
}

/// The name of a guard, in a refusal.
///
/// To share it costs an atomic addition, and another when the refusal is dropped: half of what a refusal costs. So each thread
/// keeps the name of the last refusal that it dropped, and the next one for the same guard takes that.
#[derive(Debug, Clone)]
struct Name(Option<Arc<str>>);

thread_local! {
    static SPARE: Cell<Option<Arc<str>>> = const { Cell::new(None) };
}

impl Name {
    #[inline]
    fn of(guard: &Arc<str>) -> Self {
        // A thread that is ending has no spare any more.
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let kept = spare.filter(|spare| Arc::ptr_eq(spare, guard));
        Self(Some(kept.unwrap_or_else(|| guard.clone())))
    }

    fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Drop for Name {
    #[inline]
    fn drop(&mut self) {
        // What was there before is dropped; so is this one, if the thread is ending.
        let _ = SPARE.try_with(|spare| spare.set(self.0.take()));
    }
}

/// A call was refused by a guard and never reached the service behind it.
///
/// Making one allocates nothing. The boxed form of an error (see [`mode::Boxed`](crate::mode::Boxed)) costs the
/// one allocation of its box.
#[derive(Debug, Clone)]
pub struct Refused {
    name: Name,
    reason: Reason,
    retry_after: Option<Duration>,
}

impl Refused {
    // `name` is shared with the guard.
    #[inline]
    pub(crate) fn new(name: &Arc<str>, reason: Reason, retry_after: Option<Duration>) -> Self {
        Self {
            name: Name::of(name),
            reason,
            retry_after,
        }
    }

    /// The name of the guard that refused.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Why it refused.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The state of the circuit that refused; `None` for a guard that is no circuit.
    pub fn state(&self) -> Option<State> {
        self.reason.state()
    }

    /// How long until the guard may admit a call again, when it knows.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Looks for a refusal in an error and everything it was caused by.
    ///
    /// ```
    /// use tower_breaker::{BoxError, CircuitBreaker, Refused};
    ///
    /// let breaker = CircuitBreaker::builder("inventory").consecutive_failures(1).build()?;
    /// breaker.try_acquire()?.failure();
    /// let error: BoxError = breaker.try_acquire().unwrap_err().into();
    /// assert_eq!(Refused::find(&*error).map(Refused::name), Some("inventory"));
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn find<'a>(err: &'a (dyn StdError + 'static)) -> Option<&'a Refused> {
        let mut next = Some(err);
        while let Some(error) = next {
            if let Some(refused) = error.downcast_ref::<Refused>() {
                return Some(refused);
            }
            next = error.source();
        }
        None
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` refused the call: {}", self.name(), self.reason)?;
        match self.retry_after {
            Some(wait) if !wait.is_zero() => write!(f, "; retry in {:?}", whole_milliseconds(wait)),
            _ => Ok(()),
        }
    }
}

// Rounded up: who comes when he is told to should not come too early.
fn whole_milliseconds(wait: Duration) -> Duration {
    let finer = wait.subsec_nanos() % 1_000_000;
    if finer == 0 {
        wait
    } else {
        wait + Duration::from_nanos(u64::from(1_000_000 - finer))
    }
}

impl StdError for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(wait: Option<Duration>) -> Refused {
        Refused::new(&"stock".into(), Reason::CircuitOpen, wait)
    }

    #[test]
    fn the_text_says_who_why_and_when_in_readable_steps() {
        let text = |nanos| refused(Some(Duration::from_nanos(nanos))).to_string();
        let said = "`stock` refused the call: the circuit is open";
        assert_eq!(refused(None).to_string(), said);
        assert_eq!(text(0), said);
        assert_eq!(text(1), format!("{said}; retry in 1ms"));
        assert_eq!(text(437_965_318), format!("{said}; retry in 438ms"));
        assert_eq!(text(10_000_000_000), format!("{said}; retry in 10s"));
    }
}
