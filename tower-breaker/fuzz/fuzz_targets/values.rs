//! Any values for the options of a circuit, and which of them are out of range by the documentation.

use std::{collections::BTreeSet, time::Duration};

use arbitrary::{Arbitrary, Result, Unstructured};
use tower_breaker::{
    Abandoned, CircuitBreaker, FailureRate, LeaseExpired, OpenWait, Ramp, Recovery, SlowCallRate,
    TrialRate, breaker::CircuitBreakerBuilder,
};

const MILLISECOND: Duration = Duration::from_millis(1);
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Often at the edge of what is allowed.
#[derive(Debug, Clone, Copy)]
struct Time(Duration);

impl<'a> Arbitrary<'a> for Time {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let edges = [
            Duration::ZERO,
            Duration::from_nanos(999),
            Duration::from_micros(1),
            Duration::from_nanos(999_999),
            MILLISECOND,
            Duration::from_millis(10),
            Duration::from_secs(60 * 60),
            Duration::from_secs(24 * 60 * 60),
            MONTH,
            MONTH + Duration::from_nanos(1),
            Duration::MAX,
        ];
        Ok(Self(if u.arbitrary()? {
            *u.choose(&edges)?
        } else {
            Duration::from_nanos(u.arbitrary()?)
        }))
    }
}

/// A small one more often than chance would have it.
#[derive(Debug, Clone, Copy)]
struct Count(u32);

impl<'a> Arbitrary<'a> for Count {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(match u.int_in_range(0..=2)? {
            0 => u.int_in_range(0..=20)?,
            1 => *u.choose(&[255, 256, 100_000, 100_001, 1_000_000, 1_000_001, u32::MAX])?,
            _ => u.arbitrary()?,
        }))
    }
}

/// Between 0 and 1 more often than not.
#[derive(Debug, Clone, Copy)]
struct Share(f64);

impl<'a> Arbitrary<'a> for Share {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(match u.int_in_range(0..=2)? {
            0 => f64::from(u.int_in_range(0..=100_u8)?) / 100.0,
            1 => *u.choose(&[
                0.0,
                -0.0,
                1.0,
                10.0,
                f64::MIN_POSITIVE,
                f64::NAN,
                f64::INFINITY,
            ])?,
            _ => u.arbitrary()?,
        }))
    }
}

#[derive(Debug, Arbitrary)]
enum Over {
    Calls(Count),
    Time(Time),
}

#[derive(Debug, Arbitrary)]
struct Rate {
    over: Over,
    slower_than: Option<Time>,
    slices: Option<Count>,
    threshold: Option<Share>,
    minimum_calls: Option<Count>,
    minimum_hits: Option<Count>,
}

#[derive(Debug, Arbitrary)]
enum Wait {
    Fixed(Time),
    Exponential {
        initial: Time,
        factor: Option<Share>,
        max: Option<Time>,
        jitter: Option<Share>,
    },
    Function(Time),
}

#[derive(Debug, Arbitrary)]
enum OnAbandoned {
    Ignore,
    Failure,
    FailureAfter(Time),
}

#[derive(Debug, Arbitrary)]
pub struct Values {
    consecutive_failures: Option<Count>,
    failure_rate: Option<Rate>,
    slow_call_rate: Option<Rate>,
    open_for: Option<Wait>,
    stable_after: Option<Time>,
    honor_retry_after: Option<Time>,
    half_open_trials: Option<Count>,
    success_threshold: Option<Count>,
    trial_rate: Option<(Count, Option<Share>)>,
    trial_lease: Option<Time>,
    ignores_expired: bool,
    ramp: Option<(Time, Option<Share>)>,
    on_abandoned: Option<OnAbandoned>,
    recovery: u8,
    dry_run: bool,
}

impl Values {
    pub fn check(&self) {
        let expected = self.out_of_range();
        let named: BTreeSet<String> = match self.builder().build() {
            Ok(_) => BTreeSet::new(),
            Err(error) => error
                .problems()
                .iter()
                .map(|problem| problem.option().to_owned())
                .collect(),
        };
        assert_eq!(named, expected, "{self:?}");
        assert_eq!(super::builds(self.builder()), expected.is_empty());
    }

    fn builder(&self) -> CircuitBreakerBuilder {
        let mut builder = CircuitBreaker::builder("fuzz")
            .recovery(match self.recovery % 3 {
                0 => Recovery::Lazy,
                1 => Recovery::Timed,
                _ => Recovery::Probed,
            })
            .dry_run(self.dry_run);
        if self.ignores_expired {
            builder = builder.on_lease_expired(LeaseExpired::Ignore);
        }
        if let Some(Count(failures)) = self.consecutive_failures {
            builder = builder.consecutive_failures(failures);
        }
        if let Some(rate) = &self.failure_rate {
            builder = builder.failure_rate(rate.failures());
        }
        if let Some(rate) = &self.slow_call_rate {
            builder = builder.slow_call_rate(rate.slow_calls());
        }
        if let Some(wait) = &self.open_for {
            builder = builder.open_for(wait.wait());
        }
        if let Some(Time(time)) = self.stable_after {
            builder = builder.stable_after(time);
        }
        if let Some(Time(max)) = self.honor_retry_after {
            builder = builder.honor_retry_after(max);
        }
        if let Some(Count(trials)) = self.half_open_trials {
            builder = builder.half_open_trials(trials);
        }
        if let Some(Count(successes)) = self.success_threshold {
            builder = builder.success_threshold(successes);
        }
        if let Some((Count(trials), threshold)) = self.trial_rate {
            let rate = TrialRate::of_trials(trials);
            builder = builder.trial_rate(match threshold {
                Some(Share(threshold)) => rate.threshold(threshold),
                None => rate,
            });
        }
        if let Some(Time(lease)) = self.trial_lease {
            builder = builder.trial_lease(lease);
        }
        if let Some((Time(over), from)) = self.ramp {
            let ramp = Ramp::over(over);
            builder = builder.ramp(match from {
                Some(Share(from)) => ramp.from(from),
                None => ramp,
            });
        }
        match self.on_abandoned {
            Some(OnAbandoned::Ignore) => builder.on_abandoned(Abandoned::Ignore),
            Some(OnAbandoned::Failure) => builder.on_abandoned(Abandoned::Failure),
            Some(OnAbandoned::FailureAfter(Time(limit))) => {
                builder.on_abandoned(Abandoned::FailureAfter(limit))
            }
            None => builder,
        }
    }

    fn out_of_range(&self) -> BTreeSet<String> {
        let mut wrong = Wrong::default();
        let rules = (
            &self.consecutive_failures,
            &self.failure_rate,
            &self.slow_call_rate,
        );
        wrong.note("rules", !matches!(rules, (None, None, None)));
        wrong.count("consecutive_failures", self.consecutive_failures, 1_000_000);
        if let Some(rate) = &self.failure_rate {
            rate.check("failure_rate", "minimum_failures", &mut wrong);
        }
        if let Some(rate) = &self.slow_call_rate {
            rate.check("slow_call_rate", "minimum_slow_calls", &mut wrong);
            let (least, most) = (Duration::from_micros(1), Duration::from_secs(3_600));
            let limit = rate.slower_than;
            let given = limit.is_some_and(|Time(limit)| (least..=most).contains(&limit));
            wrong.note("slow_call_rate.slower_than", given);
        }
        if let Some(wait) = &self.open_for {
            wait.check(&mut wrong);
        }
        wrong.time("stable_after", self.stable_after, Duration::ZERO);
        wrong.time("honor_retry_after", self.honor_retry_after, MILLISECOND);
        wrong.count("half_open_trials", self.half_open_trials, 255);
        wrong.count("success_threshold", self.success_threshold, 255);
        if let Some((trials, threshold)) = self.trial_rate {
            wrong.count("trial_rate.of_trials", Some(trials), 255);
            wrong.share("trial_rate.threshold", threshold);
            // The rate decides.
            wrong.note("success_threshold", self.success_threshold.is_none());
        }
        wrong.time("trial_lease", self.trial_lease, MILLISECOND);
        if let Some((over, from)) = self.ramp {
            wrong.time("ramp.over", Some(over), MILLISECOND);
            wrong.share("ramp.from", from);
        }
        if let Some(OnAbandoned::FailureAfter(limit)) = self.on_abandoned {
            wrong.time("on_abandoned.failure_after", Some(limit), Duration::ZERO);
        }
        wrong.0
    }
}

impl Rate {
    fn failures(&self) -> FailureRate {
        let mut rate = match self.over {
            Over::Calls(Count(calls)) => FailureRate::over_calls(calls),
            Over::Time(Time(time)) => FailureRate::over_time(time),
        };
        if let Some(Count(slices)) = self.slices {
            rate = rate.slices(slices);
        }
        if let Some(Share(threshold)) = self.threshold {
            rate = rate.threshold(threshold);
        }
        if let Some(Count(calls)) = self.minimum_calls {
            rate = rate.minimum_calls(calls);
        }
        if let Some(Count(failures)) = self.minimum_hits {
            rate = rate.minimum_failures(failures);
        }
        rate
    }

    fn slow_calls(&self) -> SlowCallRate {
        let mut rate = match self.over {
            Over::Calls(Count(calls)) => SlowCallRate::over_calls(calls),
            Over::Time(Time(time)) => SlowCallRate::over_time(time),
        };
        if let Some(Time(limit)) = self.slower_than {
            rate = rate.slower_than(limit);
        }
        if let Some(Count(slices)) = self.slices {
            rate = rate.slices(slices);
        }
        if let Some(Share(threshold)) = self.threshold {
            rate = rate.threshold(threshold);
        }
        if let Some(Count(calls)) = self.minimum_calls {
            rate = rate.minimum_calls(calls);
        }
        if let Some(Count(calls)) = self.minimum_hits {
            rate = rate.minimum_slow_calls(calls);
        }
        rate
    }

    fn check(&self, name: &str, minimum_hits: &str, wrong: &mut Wrong) {
        let capacity = match self.over {
            Over::Calls(calls) => {
                wrong.count(&format!("{name}.over_calls"), Some(calls), 100_000);
                // Only time has slices.
                wrong.note(&format!("{name}.slices"), self.slices.is_none());
                calls.0.clamp(1, 100_000)
            }
            Over::Time(Time(time)) => {
                let (least, most) = (Duration::from_millis(10), Duration::from_secs(86_400));
                let valid = (least..=most).contains(&time);
                wrong.note(&format!("{name}.over_time"), valid);
                let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
                let most = if valid { millis.min(64) } else { 64 };
                wrong.count(&format!("{name}.slices"), self.slices, most);
                100_000
            }
        };
        wrong.share(&format!("{name}.threshold"), self.threshold);
        wrong.count(
            &format!("{name}.minimum_calls"),
            self.minimum_calls,
            capacity,
        );
        wrong.count(
            &format!("{name}.{minimum_hits}"),
            self.minimum_hits,
            capacity,
        );
    }
}

impl Wait {
    fn wait(&self) -> OpenWait {
        match *self {
            Self::Fixed(Time(wait)) => wait.into(),
            Self::Function(Time(wait)) => OpenWait::from_fn(move |_| wait),
            Self::Exponential {
                initial: Time(initial),
                factor,
                max,
                jitter,
            } => {
                let mut wait = OpenWait::exponential(initial);
                if let Some(Share(factor)) = factor {
                    wait = wait.factor(factor);
                }
                if let Some(Time(max)) = max {
                    wait = wait.max(max);
                }
                if let Some(Share(jitter)) = jitter {
                    wait = wait.jitter(jitter);
                }
                wait
            }
        }
    }

    fn check(&self, wrong: &mut Wrong) {
        match *self {
            Self::Fixed(wait) => wrong.time("open_for", Some(wait), MILLISECOND),
            // Its answers are not known before they are given.
            Self::Function(_) => {}
            Self::Exponential {
                initial,
                factor,
                max,
                jitter,
            } => {
                wrong.time("open_for.initial", Some(initial), MILLISECOND);
                wrong.time("open_for.max", max, initial.0);
                let within = |share: Option<Share>, least, most| {
                    share.is_none_or(|Share(share)| share >= least && share <= most)
                };
                wrong.note("open_for.factor", within(factor, 1.0, 10.0));
                wrong.note("open_for.jitter", within(jitter, 0.0, 1.0));
            }
        }
    }
}

/// The options that are out of range.
#[derive(Default)]
struct Wrong(BTreeSet<String>);

impl Wrong {
    fn note(&mut self, option: &str, is_right: bool) {
        if !is_right {
            self.0.insert(option.to_owned());
        }
    }

    fn count(&mut self, option: &str, count: Option<Count>, most: u32) {
        let is_right = count.is_none_or(|Count(count)| (1..=most).contains(&count));
        self.note(option, is_right);
    }

    fn time(&mut self, option: &str, time: Option<Time>, least: Duration) {
        let is_right = time.is_none_or(|Time(time)| time >= least && time <= MONTH);
        self.note(option, is_right);
    }

    fn share(&mut self, option: &str, share: Option<Share>) {
        let is_right = share.is_none_or(|Share(share)| share > 0.0 && share <= 1.0);
        self.note(option, is_right);
    }
}
