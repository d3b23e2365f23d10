//! All rules about a share of calls, and what they must agree on.

use std::{fmt::Display, time::Duration};

use super::rate::{FailureRate, SlowCallRate};
use crate::{
    Problem,
    breaker::policy::{Kind, RateRule},
};

const FASTEST: Duration = Duration::from_micros(1);
const SLOWEST: Duration = Duration::from_secs(60 * 60);

/// Where a rule's options are: the name of the option, and its number if there are several.
pub(super) struct Place {
    name: &'static str,
    index: Option<usize>,
}

impl Place {
    pub(super) fn option(&self, key: impl Display) -> String {
        let Self { name, index } = self;
        match index {
            Some(index) => format!("{name}[{index}].{key}"),
            None => format!("{name}.{key}"),
        }
    }
}

/// The rules in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct Rates(Vec<AnyRate>);

#[derive(Debug, Clone, Copy)]
enum AnyRate {
    Failures(FailureRate),
    Slow(SlowCallRate),
}

impl AnyRate {
    fn kind(&self) -> Kind {
        match self {
            Self::Failures(_) => Kind::Failures,
            Self::Slow(_) => Kind::Slow,
        }
    }
}

impl Rates {
    pub(super) fn add_failures(&mut self, rate: FailureRate) {
        self.0.push(AnyRate::Failures(rate));
    }

    pub(super) fn add_slow(&mut self, rate: SlowCallRate) {
        self.0.push(AnyRate::Slow(rate));
    }

    #[cfg(feature = "serde")]
    pub(super) fn remove(&mut self, kind: Kind) {
        self.0.retain(|rate| rate.kind() != kind);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The limit of the first rule about slow calls that has one.
    pub(super) fn slower_than(&self) -> Option<Duration> {
        self.0.iter().find_map(|rate| match rate {
            AnyRate::Failures(_) => None,
            AnyRate::Slow(slow) => slow.slower_than,
        })
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) -> Vec<RateRule> {
        let (mut failures, mut slow) =
            (Numbers::new("failure_rate"), Numbers::new("slow_call_rate"));
        for rate in &self.0 {
            match rate.kind() {
                Kind::Failures => failures.total += 1,
                Kind::Slow => slow.total += 1,
            }
        }
        let limit = self.slower_than();
        self.0
            .iter()
            .map(|rate| match rate {
                AnyRate::Failures(FailureRate(rate)) => {
                    rate.check(Kind::Failures, &failures.next(), problems)
                }
                AnyRate::Slow(rule) => {
                    let place = slow.next();
                    let checked = rule.rate.check(Kind::Slow, &place, problems);
                    check_slower_than(rule.slower_than, limit, &place, problems);
                    checked
                }
            })
            .collect()
    }
}

fn check_slower_than(
    given: Option<Duration>,
    first: Option<Duration>,
    place: &Place,
    problems: &mut Vec<Problem>,
) {
    let option = place.option("slower_than");
    match given {
        None => problems.push(Problem::new(
            option,
            format_args!("not set"),
            "1us to 1h; there is no default",
        )),
        Some(given) if !(FASTEST..=SLOWEST).contains(&given) => {
            problems.push(Problem::new(option, given, "1us to 1h"));
        }
        Some(given) => {
            if let Some(first) = first.filter(|first| *first != given) {
                problems.push(Problem::new(
                    option,
                    given,
                    format_args!("the same for all rules, {first:?}"),
                ));
            }
        }
    }
}

/// Numbers the rules of one kind, if there is more than one.
struct Numbers {
    name: &'static str,
    total: usize,
    given: usize,
}

impl Numbers {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            total: 0,
            given: 0,
        }
    }

    fn next(&mut self) -> Place {
        let index = self.given;
        self.given += 1;
        Place {
            name: self.name,
            index: (self.total > 1).then_some(index),
        }
    }
}
