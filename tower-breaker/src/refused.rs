//! The typed refusal: who refused a call, why, and how long until another try makes sense.

use std::{error::Error as StdError, fmt, io, iter, time::Duration};

use crate::{
    breaker::State,
    label::{Label, Lent},
};

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
    /// The throttle refuses a share of the calls, because too few of the last ones were accepted.
    Throttled,
    /// The call waited in the bulkhead's queue, which was full, and had to make room for one of a higher priority.
    Displaced,
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
            Self::Throttled => "throttled",
            Self::Displaced => "displaced",
        }
    }

    /// The state of the circuit that refused; `None` if it was no circuit.
    pub const fn state(self) -> Option<State> {
        match self {
            Self::CircuitOpen | Self::ForcedOpen => Some(State::Open),
            Self::HalfOpenFull => Some(State::HalfOpen),
            Self::Ramping => Some(State::Closed),
            Self::BulkheadFull | Self::QueueFull | Self::WaitedTooLong => None,
            Self::Throttled | Self::Displaced => None,
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
            Self::Throttled => "too few of the last calls were accepted to make all of them",
            Self::Displaced => "the queue was full, and a call of a higher priority came",
        })
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.reason(), self.wait())
    }
}

/// Reason and wait in one word: `bits 56..64` the reason, `0..56` the wait in nanoseconds, which is more than two years, all
/// ones for none. A refusal is passed on by every guard and future on its way; two words pass in no time, more do not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Details(u64);

const WAIT_BITS: u32 = 56;
const NO_WAIT: u64 = (1 << WAIT_BITS) - 1;

impl Details {
    /// The wait in nanoseconds; beyond what there is room for, it is as long as there is.
    #[inline]
    pub(crate) const fn new(reason: Reason, wait: Option<u64>) -> Self {
        let wait = match wait {
            Some(wait) if wait < NO_WAIT => wait,
            Some(_) => NO_WAIT - 1,
            None => NO_WAIT,
        };
        Self((reason as u64) << WAIT_BITS | wait)
    }

    /// With a wait that is neither over nor longer than there is room for; `None` for others. One that is over may be
    /// less than zero, and come round.
    #[inline]
    pub(crate) fn with_wait(reason: Reason, wait: u64) -> Option<Self> {
        let fits = wait.wrapping_sub(1) < NO_WAIT - 1;
        fits.then_some(Self((reason as u64) << WAIT_BITS | wait))
    }

    #[inline]
    pub(crate) const fn is_of(self, reason: Reason) -> bool {
        self.reason_as_number() == reason as usize
    }

    /// The place of the reason among all of them.
    #[inline]
    pub(crate) const fn reason_as_number(self) -> usize {
        (self.0 >> WAIT_BITS) as usize
    }

    pub(crate) fn reason(self) -> Reason {
        match self.0 >> WAIT_BITS {
            1 => Reason::HalfOpenFull,
            2 => Reason::ForcedOpen,
            3 => Reason::Ramping,
            4 => Reason::BulkheadFull,
            5 => Reason::QueueFull,
            6 => Reason::WaitedTooLong,
            7 => Reason::Throttled,
            8 => Reason::Displaced,
            _ => Reason::CircuitOpen,
        }
    }

    pub(crate) fn wait(self) -> Option<Duration> {
        let wait = self.0 & NO_WAIT;
        (wait != NO_WAIT).then(|| Duration::from_nanos(wait))
    }
}

/// A call was refused by a guard and never reached the service behind it.
///
/// Making one allocates nothing. The boxed form of an error (see [`mode::Boxed`](crate::mode::Boxed)) costs the
/// one allocation of its box.
#[derive(Clone)]
pub struct Refused {
    name: Lent,
    details: Details,
}

impl Refused {
    #[inline]
    pub(crate) fn new(guard: &Label, details: Details) -> Self {
        Self {
            name: guard.lend(),
            details,
        }
    }

    /// For tests of what is done with one.
    #[cfg(test)]
    pub(crate) fn sample(name: &str, reason: Reason, wait: Option<Duration>) -> Self {
        let wait = wait.map(|wait| wait.as_nanos() as u64);
        Self::new(&Label::counted(name.into()), Details::new(reason, wait))
    }

    /// The name of the guard that refused.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why it refused.
    pub fn reason(&self) -> Reason {
        self.details.reason()
    }

    /// The state of the circuit that refused; `None` for a guard that is no circuit.
    pub fn state(&self) -> Option<State> {
        self.reason().state()
    }

    /// How long until the guard may admit a call again, when it knows: what is left of an open wait. A circuit that is half-open, or that ramps
    /// up, admits the next call as soon as chance or a trial has it; so there it is a hint of when it makes sense to ask again, which is
    /// never more than a second. `None` for a circuit that is held open for good, and for bulkheads and throttles.
    pub fn retry_after(&self) -> Option<Duration> {
        self.details.wait()
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
        chain(err).find_map(|err| err.downcast_ref())
    }
}

/// An error, what caused it, what caused that, and so on.
pub(crate) fn chain<'a>(
    err: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(err), |&err| {
        // The standard library's own is transparent: it gives the source of the error in it, and so passes over that itself.
        match err.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => Some(inside as &(dyn StdError + 'static)),
            None => err.source(),
        }
    })
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("name", &self.name())
            .field("reason", &self.reason())
            .field("retry_after", &self.retry_after())
            .finish()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` refused the call: {}", self.name(), self.reason())?;
        match self.retry_after() {
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
        Refused::sample("stock", Reason::CircuitOpen, wait)
    }

    #[test]
    fn the_state_is_that_of_the_circuit_that_refused() {
        let states = [
            (Reason::CircuitOpen, Some(State::Open)),
            (Reason::ForcedOpen, Some(State::Open)),
            (Reason::HalfOpenFull, Some(State::HalfOpen)),
            (Reason::Ramping, Some(State::Closed)),
            (Reason::BulkheadFull, None),
        ];
        for (reason, state) in states {
            assert_eq!(reason.state(), state);
            assert_eq!(Refused::sample("stock", reason, None).state(), state);
        }
    }

    #[test]
    fn every_reason_and_every_wait_survives_being_packed() {
        let reasons = [
            Reason::CircuitOpen,
            Reason::HalfOpenFull,
            Reason::ForcedOpen,
            Reason::Ramping,
            Reason::BulkheadFull,
            Reason::QueueFull,
            Reason::WaitedTooLong,
            Reason::Throttled,
            Reason::Displaced,
        ];
        for reason in reasons {
            for wait in [None, Some(0), Some(1), Some(NO_WAIT - 1)] {
                let details = Details::new(reason, wait);
                let wait = wait.map(Duration::from_nanos);
                assert_eq!((details.reason(), details.wait()), (reason, wait));
            }
        }
        let long = Details::new(Reason::QueueFull, Some(u64::MAX));
        assert_eq!(long.wait(), Some(Duration::from_nanos(NO_WAIT - 1)));
        assert_eq!(size_of::<Refused>(), 16);
    }

    #[test]
    fn refusals_of_several_guards_keep_their_names() {
        let labels = [Label::counted("a".into()), Label::kept("b".into())];
        let refused = |at: usize| Refused::new(&labels[at], Details::new(Reason::QueueFull, None));
        let kept = refused(0);
        for at in [0, 1, 0, 0, 1, 1] {
            assert_eq!(refused(at).name(), ["a", "b"][at]);
            assert_eq!(kept.clone().name(), "a");
        }
    }

    #[test]
    fn a_refusal_is_found_however_it_is_wrapped() {
        let wrapped = io::Error::other(refused(None));
        assert!(Refused::find(&wrapped).is_some());
        let deeper = io::Error::other(crate::Error::<io::Error>::Inner(wrapped));
        assert!(Refused::find(&deeper).is_some());
        assert!(Refused::find(&io::Error::other("down")).is_none());
        assert!(Refused::find(&io::Error::from(io::ErrorKind::TimedOut)).is_none());
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
