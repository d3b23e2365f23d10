//! Configurations and steps from bytes: the same as those that `tests/model` makes by chance, in the same ranges.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use tower_breaker::{Abandoned, LeaseExpired, Recovery};

use crate::model::{
    config::{Config, Over, Rate, TrialRule, Wait},
    steps::{Ending, Manual, Step},
};

type Data<'a> = Unstructured<'a>;

fn maybe<T>(u: &mut Data<'_>, some: impl FnOnce(&mut Data<'_>) -> Result<T>) -> Result<Option<T>> {
    let is_some: bool = u.arbitrary()?;
    is_some.then(|| some(u)).transpose()
}

fn milliseconds(u: &mut Data<'_>, most: u8) -> Result<u64> {
    Ok(u.int_in_range(1..=most)?.into())
}

fn count(u: &mut Data<'_>, most: u8) -> Result<u32> {
    Ok(u.int_in_range(1..=most)?.into())
}

pub fn config(u: &mut Data<'_>) -> Result<Config> {
    let mut rates = Vec::new();
    for _ in 0..u.int_in_range(0..=4)? {
        rates.push(rate(u)?);
    }
    let consecutive = maybe(u, |u| count(u, 4))?.or(rates.is_empty().then_some(3));
    Ok(Config {
        consecutive,
        rates,
        slower_than: milliseconds(u, 19)?,
        wait: wait(u)?,
        stable_after: u.int_in_range(0..=39_u8)?.into(),
        retry_after_cap: maybe(u, |u| milliseconds(u, 59))?,
        trials: count(u, 3)?,
        rule: if u.arbitrary()? {
            TrialRule::Successes(count(u, 3)?)
        } else {
            TrialRule::Rate {
                trials: count(u, 6)?,
                threshold: count(u, 100)?,
            }
        },
        lease: maybe(u, |u| milliseconds(u, 24))?,
        expired: *u.choose(&[LeaseExpired::Failure, LeaseExpired::Ignore])?,
        ramp: maybe(u, |u| Ok((milliseconds(u, 39)?, count(u, 100)?)))?,
        abandoned: maybe(u, |u| {
            Ok(match u.int_in_range(0..=2)? {
                0 => Abandoned::Ignore,
                1 => Abandoned::Failure,
                _ => Abandoned::FailureAfter(Duration::from_millis(milliseconds(u, 19)?)),
            })
        })?,
        recovery: *u.choose(&[Recovery::Lazy, Recovery::Timed, Recovery::Probed])?,
        dry_run: u.ratio(1_u8, 10)?,
    })
}

fn rate(u: &mut Data<'_>) -> Result<Rate> {
    let over = if u.arbitrary()? {
        Over::Calls(count(u, 7)?)
    } else {
        Over::Time {
            window: u.int_in_range(10..=59_u8)?.into(),
            slices: count(u, 7)?,
        }
    };
    let holds = match over {
        Over::Calls(calls) => calls as u8,
        Over::Time { .. } => 8,
    };
    Ok(Rate {
        slow: u.arbitrary()?,
        over,
        threshold: count(u, 100)?,
        minimum_calls: count(u, holds)?,
        minimum_hits: count(u, holds.min(3))?,
    })
}

fn wait(u: &mut Data<'_>) -> Result<Wait> {
    Ok(match u.int_in_range(0..=2)? {
        0 => Wait::Fixed(milliseconds(u, 29)?),
        1 => {
            let initial = milliseconds(u, 19)?;
            Wait::Exponential {
                initial,
                halves: u.int_in_range(2..=6_u8)?.into(),
                max: initial + milliseconds(u, 99)?,
            }
        }
        _ => {
            let mut waits = [0; 4];
            for wait in &mut waits {
                *wait = u.int_in_range(0..=29_u8)?.into();
            }
            Wait::Function(waits)
        }
    })
}

/// Until the bytes end.
pub fn steps(u: &mut Data<'_>) -> Vec<Step> {
    std::iter::from_fn(|| (!u.is_empty()).then(|| step(u).ok()).flatten())
        .take(2_000)
        .collect()
}

fn step(u: &mut Data<'_>) -> Result<Step> {
    Ok(match u.int_in_range(0..=15_u8)? {
        0..=4 => Step::Call,
        5 => Step::Trial,
        6..=9 => Step::End(u.int_in_range(0..=7_u8)?.into(), ending(u)?),
        10 => Step::Wait(u.int_in_range(0..=14_u8)?.into()),
        11 => Step::Wait(u.arbitrary::<u8>()?.into()),
        12 => Step::ToDeadline,
        13 => Step::BeforeDeadline,
        14 => Step::Manual(manual(u)?),
        _ if u.arbitrary()? => Step::DryRun(u.arbitrary()?),
        _ => Step::Health(u.arbitrary()?),
    })
}

fn ending(u: &mut Data<'_>) -> Result<Ending> {
    Ok(match u.int_in_range(0..=7_u8)? {
        0..=1 => Ending::Success,
        2..=4 => Ending::Failure,
        5 => Ending::FailureWithRetryAfter(u.int_in_range(0..=79_u8)?.into()),
        6 => Ending::Ignore,
        _ => Ending::Drop,
    })
}

fn manual(u: &mut Data<'_>) -> Result<Manual> {
    Ok(match u.int_in_range(0..=6_u8)? {
        0 => Manual::ForceOpen,
        1 => Manual::ForceOpenFor(u.int_in_range(0..=29_u8)?.into()),
        2 => Manual::ForceClosed,
        3 => Manual::ForceClosedFor(u.int_in_range(0..=29_u8)?.into()),
        4 => Manual::Disable,
        5 => Manual::Reset,
        _ => Manual::HalfOpen,
    })
}
