//! How long the circuit stays open.

use std::{fmt, sync::Arc, time::Duration};

use super::check::{self, MILLISECOND};
use crate::{
    Problem,
    breaker::policy::{Wait, nanos},
};

const DEFAULT_MAX: Duration = Duration::from_secs(10 * 60);
const DEFAULT_FACTOR: f64 = 2.0;

/// How long an open circuit refuses everything before it lets a trial through.
///
/// A [`Duration`] is a fixed wait. The others depend on the *attempt*: the number of recoveries in a row that have failed, 0 when
/// the circuit opens for the first time. It begins again with 0 once the circuit has been closed for
/// [`stable_after`](super::CircuitBreakerBuilder::stable_after).
///
/// ```
/// use std::time::Duration;
/// use tower_breaker::breaker::{CircuitBreaker, OpenWait};
///
/// // 1 s, 2 s, 4 s, ... 1 min, each up to a tenth less, so that the clients of one service do not all come back at once.
/// CircuitBreaker::builder("stock")
///     .consecutive_failures(5)
///     .open_for(
///         OpenWait::exponential(Duration::from_secs(1))
///             .max(Duration::from_secs(60))
///             .jitter(0.1),
///     )
///     .build()?;
/// # Ok::<(), tower_breaker::BuildError>(())
/// ```
#[derive(Clone)]
pub struct OpenWait {
    kind: Kind,
    factor: Option<f64>,
    max: Option<Duration>,
    jitter: Option<f64>,
}

#[derive(Clone)]
enum Kind {
    Fixed(Duration),
    Exponential(Duration),
    Function(Arc<dyn Fn(u32) -> Duration + Send + Sync>),
}

impl OpenWait {
    /// The same wait every time: 1 ms to 30 days.
    pub fn fixed(wait: Duration) -> Self {
        Self::of(Kind::Fixed(wait))
    }

    /// Begins with this wait, 1 ms to 30 days, and grows with each attempt by the [factor](Self::factor), up to the
    /// [maximum](Self::max).
    pub fn exponential(initial: Duration) -> Self {
        Self::of(Kind::Exponential(initial))
    }

    /// The wait is what the function says. It is given the attempt: 0 at the first opening, at most 63.
    ///
    /// The answer is used as it is; after [`Duration::ZERO`] the next call is a trial. The function runs inside the call that
    /// opens the circuit, perhaps more than once for one opening, so it should be quick. A panic in it is caught, and the wait is
    /// 30 s.
    pub fn from_fn(wait: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        Self::of(Kind::Function(Arc::new(wait)))
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            factor: None,
            max: None,
            jitter: None,
        }
    }

    /// How much longer each wait is than the one before: 1 to 10. The default is 2. Only for [`exponential`](Self::exponential).
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = Some(factor);
        self
    }

    /// The longest wait: from the initial one to 30 days. The default is 10 min, or the initial wait if that is longer. Only for
    /// [`exponential`](Self::exponential).
    pub fn max(mut self, max: Duration) -> Self {
        self.max = Some(max);
        self
    }

    /// How much of each wait is left to chance, 0 to 1: a wait of `w` is drawn evenly from `w * (1 - jitter)` to `w`. The default
    /// is 0. Only for [`exponential`](Self::exponential).
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = Some(jitter);
        self
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) -> Wait {
        match &self.kind {
            Kind::Fixed(wait) => {
                check::time(problems, "open_for", *wait, MILLISECOND);
                self.check_plain(problems);
                Wait::Fixed(nanos(*wait))
            }
            Kind::Function(wait) => {
                self.check_plain(problems);
                Wait::Function(wait.clone())
            }
            Kind::Exponential(initial) => self.check_exponential(*initial, problems),
        }
    }

    fn check_exponential(&self, initial: Duration, problems: &mut Vec<Problem>) -> Wait {
        check::time(problems, "open_for.initial", initial, MILLISECOND);
        let factor = self.factor.unwrap_or(DEFAULT_FACTOR);
        // Written so that NaN is caught too.
        if !(1.0..=10.0).contains(&factor) {
            problems.push(Problem::new("open_for.factor", factor, "1 to 10"));
        }
        let max = self.max.unwrap_or(DEFAULT_MAX.max(initial));
        if !(initial..=check::MONTH).contains(&max) && self.max.is_some() {
            problems.push(Problem::new(
                "open_for.max",
                max,
                format_args!("the initial wait, {initial:?}, to 30 days"),
            ));
        }
        let jitter = self.jitter.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&jitter) {
            problems.push(Problem::new("open_for.jitter", jitter, "0 to 1"));
        }
        Wait::Exponential {
            initial: nanos(initial),
            factor,
            max: nanos(max),
            jitter,
        }
    }

    // What does not grow has none of the options of what does.
    fn check_plain(&self, problems: &mut Vec<Problem>) {
        const ALLOWED: &str = "not set: only `OpenWait::exponential` has it";
        if let Some(factor) = self.factor {
            problems.push(Problem::new("open_for.factor", factor, ALLOWED));
        }
        if let Some(max) = self.max {
            problems.push(Problem::new("open_for.max", max, ALLOWED));
        }
        if let Some(jitter) = self.jitter {
            problems.push(Problem::new("open_for.jitter", jitter, ALLOWED));
        }
    }
}

impl From<Duration> for OpenWait {
    fn from(wait: Duration) -> Self {
        Self::fixed(wait)
    }
}

impl fmt::Debug for OpenWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("OpenWait");
        match &self.kind {
            Kind::Fixed(wait) => shown.field("fixed", wait),
            Kind::Exponential(initial) => shown.field("exponential", initial),
            Kind::Function(_) => shown.field("from_fn", &format_args!("..")),
        };
        if let Some(factor) = self.factor {
            shown.field("factor", &factor);
        }
        if let Some(max) = self.max {
            shown.field("max", &max);
        }
        if let Some(jitter) = self.jitter {
            shown.field("jitter", &jitter);
        }
        shown.finish()
    }
}
