//! Limits that find themselves: how many calls may run at once is learned from how long they take and how they end.
//!
//! A fixed limit is right for one speed of the dependency. When it slows down, is scaled, or shares its machine, the right number
//! changes: too small a limit wastes capacity, too large a one only moves the queue into the dependency, where it makes every call
//! slow. An [`Algorithm`] looks at one [`Sample`] after another and says what the limit should be now; a bulkhead built with
//! [`adaptive`](super::BulkheadBuilder::adaptive) asks it and follows.
//!
//! | algorithm | grows | shrinks | choose it |
//! |---|---|---|---|
//! | [`Aimd`] | by one while at least half of it is used | by a share, on overload or above a latency you name | when a latency bound is known; it is the simplest to foresee |
//! | [`Gradient2`] | by an allowance for a queue | with the ratio of the usual latency to the present one, and on overload | in front of services; the best first choice |
//! | [`Vegas`] | fast while nothing queues | when it estimates that too many calls queue, and on overload | where the latency without load is steady |
//!
//! The published forms of the last two let a standing queue become their idea of a usual latency, and then grow for ever. Here both
//! measure the latency of an unburdened dependency afresh from time to time, by halving the limit for a moment
//! ([`Gradient2::builder`] has the details).
//!
//! # What counts
//!
//! A call that came to a result gives its latency. A time-out, or an answer that says "overloaded", is a drop, whatever the
//! algorithm. A call whose caller went away, that panicked, or that failed for a reason of its own says nothing.
//! What is which is decided by the layer's classifier ([`Overload`](crate::classify::Overload)) or by who holds the permit
//! ([`BulkheadPermit::finish`](super::BulkheadPermit::finish)).
//!
//! # When
//!
//! Results are gathered over a [`Window`] of time, and the algorithm sees one sample for each. Two things keep it from
//! overreacting: a window is at least twice as long as a call took on average in the one before, so that the effect of one step is
//! seen before the next; and a drop is heard only of a call that began after the last drop was acted on, so that one overload is one
//! decrease.
//!
//! # An algorithm of your own
//!
//! ```
//! use std::ops::RangeInclusive;
//! use tower_breaker::bulkhead::limit::{Algorithm, Sample};
//!
//! /// Halves on a drop, doubles otherwise.
//! struct Doubling(usize);
//!
//! impl Algorithm for Doubling {
//!     fn initial(&self) -> usize {
//!         self.0
//!     }
//!     fn bounds(&self) -> RangeInclusive<usize> {
//!         1..=1_024
//!     }
//!     fn update(&mut self, sample: &Sample) -> usize {
//!         if sample.dropped {
//!             self.0 = (self.0 / 2).max(1);
//!         } else if !sample.is_app_limited(self.0) {
//!             self.0 = (self.0 * 2).min(1_024);
//!         }
//!         self.0
//!     }
//! }
//! ```

mod aimd;
mod gradient2;
#[cfg(all(test, breaker_loom))]
mod loom_tests;
mod options;
mod probe;
pub(super) mod sampler;
mod vegas;
mod window;

use std::{ops::RangeInclusive, time::Duration};

pub use self::{
    aimd::{Aimd, AimdBuilder},
    gradient2::{Gradient2, Gradient2Builder},
    sampler::Figures,
    vegas::{Vegas, VegasBuilder},
    window::Window,
};

/// What was seen of the calls of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// How long a call took on average, from its permit to its result. Dropped and ignored calls are left out. Zero if no call was
    /// left, which only happens when `dropped`.
    pub rtt: Duration,
    /// The most calls that were running at once.
    pub in_flight: usize,
    /// Whether any call timed out or was refused for overload.
    pub dropped: bool,
}

impl Sample {
    /// A window in which no call was dropped.
    pub fn new(rtt: Duration, in_flight: usize) -> Self {
        Self {
            rtt,
            in_flight,
            dropped: false,
        }
    }

    /// The same window, with a call dropped in it.
    pub fn with_drop(self) -> Self {
        Self {
            dropped: true,
            ..self
        }
    }

    /// Whether less than half of this limit was used. Then the callers, not the limit, decided how much ran, and that all went
    /// well says nothing about a larger limit.
    pub fn is_app_limited(&self, limit: usize) -> bool {
        self.in_flight.saturating_mul(2) < limit
    }

    // Never zero, so that it can be divided by.
    fn nanos(&self) -> f64 {
        (self.rtt.as_nanos() as f64).max(1.0)
    }
}

/// Finds the limit of an adaptive bulkhead.
///
/// It holds no clock and no lock: it is asked by one thread at a time, once for each [`Window`]. So it may take its time, though
/// the call that closed the window waits for it. If it panics, that call's future panics; the call's permit has been given back
/// before.
pub trait Algorithm: Send + 'static {
    /// The limit to begin with. Asked once, when the bulkhead is built.
    fn initial(&self) -> usize;

    /// The least and the greatest limit it may ever ask for, within 1 to 250,000. Asked once; the bulkhead holds it to that.
    fn bounds(&self) -> RangeInclusive<usize>;

    /// What the limit should be from now on.
    fn update(&mut self, sample: &Sample) -> usize;

    /// How long it believes that a call takes when nothing queues, for those who look at the bulkhead. `None`, the default, if it
    /// does not know.
    fn baseline(&self) -> Option<Duration> {
        None
    }

    /// Whether it keeps the limit low for a moment in order to measure, for those who look at the bulkhead. `false` by default.
    fn is_probing(&self) -> bool {
        false
    }
}

impl<A: Algorithm + ?Sized> Algorithm for Box<A> {
    fn initial(&self) -> usize {
        (**self).initial()
    }

    fn bounds(&self) -> RangeInclusive<usize> {
        (**self).bounds()
    }

    fn update(&mut self, sample: &Sample) -> usize {
        (**self).update(sample)
    }

    fn baseline(&self) -> Option<Duration> {
        (**self).baseline()
    }

    fn is_probing(&self) -> bool {
        (**self).is_probing()
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    struct Silent;

    impl Algorithm for Silent {
        fn initial(&self) -> usize {
            3
        }

        fn bounds(&self) -> RangeInclusive<usize> {
            2..=4
        }

        fn update(&mut self, sample: &Sample) -> usize {
            sample.in_flight
        }
    }

    struct Telling;

    impl Algorithm for Telling {
        fn initial(&self) -> usize {
            5
        }

        fn bounds(&self) -> RangeInclusive<usize> {
            5..=6
        }

        fn update(&mut self, _: &Sample) -> usize {
            6
        }

        fn baseline(&self) -> Option<Duration> {
            Some(Duration::from_millis(7))
        }

        fn is_probing(&self) -> bool {
            true
        }
    }

    #[test]
    fn an_algorithm_in_a_box_is_the_one_in_it() {
        let sample = Sample::new(Duration::from_millis(1), 4);
        let mut boxed: Box<dyn Algorithm> = Box::new(Silent);
        assert_eq!((boxed.initial(), boxed.bounds()), (3, 2..=4));
        assert_eq!(boxed.update(&sample), 4);
        assert_eq!((boxed.baseline(), boxed.is_probing()), (None, false));

        let mut twice: Box<Box<dyn Algorithm>> = Box::new(Box::new(Telling));
        assert_eq!((twice.initial(), twice.bounds()), (5, 5..=6));
        assert_eq!(twice.update(&sample), 6);
        assert_eq!(twice.baseline(), Some(Duration::from_millis(7)));
        assert!(Algorithm::is_probing(&twice));
    }
}
