//! What the builders of all algorithms check alike.

use std::{fmt, ops::RangeInclusive};

use crate::{BuildError, Problem, bulkhead::word::MAX_CONCURRENT};

/// Where a limit begins, and between what it stays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) initial: usize,
    pub(super) min: usize,
    pub(super) max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            initial: 20,
            min: 1,
            max: 200,
        }
    }
}

impl Bounds {
    pub(super) fn range(self) -> RangeInclusive<usize> {
        self.min..=self.max
    }

    pub(super) fn clamp(self, limit: f64) -> f64 {
        limit.clamp(self.min as f64, self.max as f64)
    }
}

/// Collects what is wrong.
pub(super) struct Check {
    algorithm: &'static str,
    problems: Vec<Problem>,
}

impl Check {
    pub(super) fn bounds(algorithm: &'static str, bounds: Bounds) -> Self {
        let mut check = Self {
            algorithm,
            problems: Vec::new(),
        };
        let Bounds { initial, min, max } = bounds;
        check.that((1..=MAX_CONCURRENT).contains(&max), "max", max, || {
            format!("1 to {MAX_CONCURRENT}")
        });
        check.that((1..=max).contains(&min), "min", min, || {
            format!("1 to `max` ({max})")
        });
        check.that((min..=max).contains(&initial), "initial", initial, || {
            format!("`min` to `max` ({min} to {max})")
        });
        check
    }

    pub(super) fn that(
        &mut self,
        holds: bool,
        option: &'static str,
        value: impl fmt::Debug,
        allowed: impl FnOnce() -> String,
    ) {
        if !holds {
            self.problems.push(Problem::new(option, value, allowed()));
        }
    }

    // Also refuses what is not a number.
    pub(super) fn between(
        &mut self,
        option: &'static str,
        value: f64,
        allowed: RangeInclusive<f64>,
    ) {
        self.that(allowed.contains(&value), option, value, || {
            format!("{} to {}", allowed.start(), allowed.end())
        });
    }

    pub(super) fn done(self) -> Result<(), BuildError> {
        BuildError::check("limit", self.algorithm, self.problems)
    }
}
