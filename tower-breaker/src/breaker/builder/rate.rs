//! Rules about a share of calls.

use std::time::Duration;

use super::{check, rates::Place};
use crate::{
    Problem,
    breaker::policy::{Kind, Over, RateRule, nanos},
};

use crate::breaker::window::MAX_CALLS;
const MAX_SLICES: u32 = 64;
// A slice that has counted more than 262,143 calls goes on with half of them: the minimum must be in its reach all the same.
const MAX_MINIMUM: u32 = 100_000;
const DEFAULT_MINIMUM: u32 = 20;
const DEFAULT_SLICES: u32 = 10;
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Opens the circuit when too large a share of the recent calls failed.
///
/// Recent are the last N calls, or those that ended in the last so many seconds. The window begins empty whenever the circuit
/// closes. The rule is evaluated after every recorded result, a success too, since one may complete the minimum.
///
/// ```
/// use std::time::Duration;
/// use tower_breaker::{CircuitBreaker, FailureRate};
///
/// CircuitBreaker::builder("stock")
///     .failure_rate(FailureRate::over_time(Duration::from_secs(10)).minimum_calls(50))
///     .build()?;
/// # Ok::<(), tower_breaker::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailureRate(pub(super) Rate);

impl FailureRate {
    /// Looks at the last `calls` calls, 1 to 100,000. Each result beyond them pushes out the oldest one.
    pub fn over_calls(calls: u32) -> Self {
        Self(Rate::new(Span::Calls(calls)))
    }

    /// Looks at the calls that ended in the last `time`, 10 ms to 24 h. They are forgotten one [slice](Self::slices) at a time.
    pub fn over_time(time: Duration) -> Self {
        Self(Rate::new(Span::Time(time)))
    }

    /// How many slices the time is divided into: 1 to 64, of at least 1 ms each. The default is 10. More slices forget more
    /// evenly and take more memory. Only for [`over_time`](Self::over_time).
    pub fn slices(mut self, slices: u32) -> Self {
        self.0.slices = Some(slices);
        self
    }

    /// Opens at this share of failures or above: more than 0, up to 1. The default is 0.5.
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.0.threshold = threshold;
        self
    }

    /// Decides nothing before this many calls are in the window: 1 to 100,000, and not more than the window can hold. The
    /// default is 20, or the number of calls the window holds if that is less.
    pub fn minimum_calls(mut self, calls: u32) -> Self {
        self.0.minimum_calls = Some(calls);
        self
    }

    /// Decides nothing before this many failures are in the window, so that a few of them in a quiet hour do not open the
    /// circuit: 1 to 100,000, and not more than the window can hold. The default is 1.
    pub fn minimum_failures(mut self, failures: u32) -> Self {
        self.0.minimum_hits = failures;
        self
    }
}

/// Opens the circuit when too large a share of the recent calls was slow, however they ended: a dependency that has become too
/// slow to be of use is down.
///
/// How long a call took is known when it ends. A call that never ends is slow only when its caller gives it up, so the rule needs
/// a time-out somewhere; a call whose result is ignored is not counted. A trial that is slow has failed.
/// [`slower_than`](Self::slower_than) must be set.
///
/// ```
/// use std::time::Duration;
/// use tower_breaker::breaker::{CircuitBreaker, SlowCallRate};
///
/// CircuitBreaker::builder("stock")
///     .slow_call_rate(
///         SlowCallRate::over_calls(100)
///             .slower_than(Duration::from_millis(500))
///             .threshold(0.8),
///     )
///     .build()?;
/// # Ok::<(), tower_breaker::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowCallRate {
    pub(super) rate: Rate,
    pub(super) slower_than: Option<Duration>,
}

impl SlowCallRate {
    /// Looks at the last `calls` calls, 1 to 100,000. Each result beyond them pushes out the oldest one.
    pub fn over_calls(calls: u32) -> Self {
        Self::over(Span::Calls(calls))
    }

    /// Looks at the calls that ended in the last `time`, 10 ms to 24 h. They are forgotten one [slice](Self::slices) at a time.
    pub fn over_time(time: Duration) -> Self {
        Self::over(Span::Time(time))
    }

    fn over(span: Span) -> Self {
        Self {
            rate: Rate::new(span),
            slower_than: None,
        }
    }

    /// A call is slow if it takes longer than this, 1 us to 1 h; exactly this long is not slow. There is no default. The same for
    /// all rules of one circuit breaker.
    pub fn slower_than(mut self, limit: Duration) -> Self {
        self.slower_than = Some(limit);
        self
    }

    /// How many slices the time is divided into: 1 to 64, of at least 1 ms each. The default is 10. More slices forget more
    /// evenly and take more memory. Only for [`over_time`](Self::over_time).
    pub fn slices(mut self, slices: u32) -> Self {
        self.rate.slices = Some(slices);
        self
    }

    /// Opens at this share of slow calls or above: more than 0, up to 1. The default is 0.5.
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.rate.threshold = threshold;
        self
    }

    /// Decides nothing before this many calls are in the window: 1 to 100,000, and not more than the window can hold. The
    /// default is 20, or the number of calls the window holds if that is less.
    pub fn minimum_calls(mut self, calls: u32) -> Self {
        self.rate.minimum_calls = Some(calls);
        self
    }

    /// Decides nothing before this many slow calls are in the window: 1 to 100,000, and not more than the window can hold. The
    /// default is 1.
    pub fn minimum_slow_calls(mut self, calls: u32) -> Self {
        self.rate.minimum_hits = calls;
        self
    }
}

/// What the two kinds of rates have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    span: Span,
    slices: Option<u32>,
    threshold: f64,
    minimum_calls: Option<u32>,
    minimum_hits: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Span {
    Calls(u32),
    Time(Duration),
}

impl Rate {
    fn new(span: Span) -> Self {
        Self {
            span,
            slices: None,
            threshold: 0.5,
            minimum_calls: None,
            minimum_hits: 1,
        }
    }

    pub(super) fn check(&self, kind: Kind, place: &Place, problems: &mut Vec<Problem>) -> RateRule {
        let over = match self.span {
            Span::Calls(calls) => self.check_calls(calls, place, problems),
            Span::Time(time) => self.check_time(time, place, problems),
        };
        check::share(problems, place.option("threshold"), self.threshold);
        let (capacity, allowed) = match over {
            Over::Calls(calls) => {
                let capacity = calls.clamp(1, MAX_CALLS);
                (capacity, format!("1 to the size of the window, {capacity}"))
            }
            Over::Time { .. } => (MAX_MINIMUM, format!("1 to {MAX_MINIMUM}")),
        };
        let mut check_minimum = |key, value| {
            if !(1..=capacity).contains(&value) {
                problems.push(Problem::new(place.option(key), value, &allowed));
            }
        };
        let minimum_calls = self.minimum_calls.unwrap_or(DEFAULT_MINIMUM.min(capacity));
        check_minimum("minimum_calls", minimum_calls);
        match kind {
            Kind::Failures => check_minimum("minimum_failures", self.minimum_hits),
            Kind::Slow => check_minimum("minimum_slow_calls", self.minimum_hits),
        }
        RateRule {
            kind,
            over,
            minimum_calls,
            minimum_hits: self.minimum_hits,
            threshold: self.threshold,
        }
    }

    fn check_calls(&self, calls: u32, place: &Place, problems: &mut Vec<Problem>) -> Over {
        check::count(problems, place.option("over_calls"), calls, 1..=MAX_CALLS);
        if let Some(slices) = self.slices {
            problems.push(Problem::new(
                place.option("slices"),
                slices,
                "not set: only `over_time` has slices",
            ));
        }
        Over::Calls(calls)
    }

    fn check_time(&self, time: Duration, place: &Place, problems: &mut Vec<Problem>) -> Over {
        let valid = (SHORTEST..=LONGEST).contains(&time);
        if !valid {
            problems.push(Problem::new(place.option("over_time"), time, "10ms to 24h"));
        }
        let slices = self.slices.unwrap_or(DEFAULT_SLICES);
        // Of a time that is wrong itself, nobody wants to know how it can be divided.
        let most = if valid {
            u32::try_from(time.as_millis()).map_or(MAX_SLICES, |most| most.min(MAX_SLICES))
        } else {
            MAX_SLICES
        };
        if !(1..=most).contains(&slices) {
            problems.push(Problem::new(
                place.option("slices"),
                slices,
                format_args!("1 to {most}, so that each of them is at least 1ms"),
            ));
        }
        Over::Time {
            window: nanos(time),
            slices,
        }
    }
}
