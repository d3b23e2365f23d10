//! What a bulkhead has more when its limit finds itself: a clock, and who listens to how calls went.

use std::time::Instant;

use super::{
    Outcome,
    gate::Gate,
    limit::{Algorithm, Figures, Window, sampler::Sampler},
};
use crate::breaker::Clock;

pub(super) struct Adaptive {
    clock: Box<dyn Clock>,
    origin: Instant,
    sampler: Sampler,
    max: usize,
}

impl Adaptive {
    /// `initial`, `min` and `max` must be limits that a gate can have, in this order of size: `min`, `initial`, `max`.
    pub(super) fn new(
        clock: Box<dyn Clock>,
        algorithm: Box<dyn Algorithm>,
        limits: (usize, usize, usize),
        window: Window,
    ) -> Self {
        let origin = clock.origin();
        let now = clock.nanos_since(origin);
        Self {
            sampler: Sampler::new(algorithm, limits, window, now),
            clock,
            origin,
            max: limits.2,
        }
    }

    /// In nanoseconds.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.nanos_since(self.origin)
    }

    /// The greatest limit there will ever be.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    pub(super) fn figures(&self) -> Figures {
        self.sampler.figures()
    }

    /// Listens to a call that is still in flight, and lets the gate have another limit if it is time.
    #[inline]
    pub(super) fn listen(&self, gate: &Gate, started: u64, outcome: Outcome) {
        let set_limit = |limit| gate.adapt_limit(limit);
        match outcome {
            Outcome::Success => {
                self.sampler
                    .success(started, self.now(), gate.in_flight(), set_limit);
            }
            Outcome::Overload => {
                self.sampler
                    .drop(started, self.now(), gate.in_flight(), set_limit);
            }
            Outcome::Ignore => {}
        }
    }
}
