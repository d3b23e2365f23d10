//! Checks of single values.

use std::{borrow::Cow, ops::RangeInclusive, time::Duration};

use crate::Problem;

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn count(
    problems: &mut Vec<Problem>,
    option: impl Into<Cow<'static, str>>,
    value: u32,
    allowed: RangeInclusive<u32>,
) {
    if !allowed.contains(&value) {
        problems.push(Problem::new(
            option,
            value,
            format_args!("{} to {}", allowed.start(), allowed.end()),
        ));
    }
}

/// A wait or a limit: from `least` to 30 days.
pub(super) fn time(
    problems: &mut Vec<Problem>,
    option: impl Into<Cow<'static, str>>,
    value: Duration,
    least: Duration,
) {
    if !(least..=MONTH).contains(&value) {
        problems.push(Problem::new(
            option,
            value,
            format_args!("{least:?} to 30 days"),
        ));
    }
}

/// A share that must not be nothing.
pub(super) fn share(problems: &mut Vec<Problem>, option: impl Into<Cow<'static, str>>, value: f64) {
    // Written so that NaN is caught too.
    if !(value > 0.0 && value <= 1.0) {
        problems.push(Problem::new(option, value, "more than 0, up to 1"));
    }
}
