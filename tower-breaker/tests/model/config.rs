//! Any configuration, for both the breaker and the model.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use proptest::prelude::*;
use tower_breaker::{
    Abandoned, CircuitBreaker, FailureRate, LeaseExpired, OpenWait, Ramp, Recovery, SlowCallRate,
    Transition, TrialRate,
};

pub const MS: u64 = 1_000_000;

/// Times are in milliseconds, shares in percent.
#[derive(Debug, Clone)]
pub struct Config {
    pub consecutive: Option<u32>,
    pub rates: Vec<Rate>,
    pub slower_than: u64,
    pub wait: Wait,
    pub stable_after: u64,
    pub retry_after_cap: Option<u64>,
    pub trials: u32,
    pub rule: TrialRule,
    pub lease: Option<u64>,
    pub expired: LeaseExpired,
    pub ramp: Option<(u64, u32)>,
    pub abandoned: Option<Abandoned>,
    pub recovery: Recovery,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Rate {
    pub slow: bool,
    pub over: Over,
    pub threshold: u32,
    pub minimum_calls: u32,
    pub minimum_hits: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Over {
    Calls(u32),
    Time { window: u64, slices: u32 },
}

#[derive(Debug, Clone, Copy)]
pub enum Wait {
    Fixed(u64),
    Exponential { initial: u64, halves: u32, max: u64 },
    Function([u64; 4]),
}

#[derive(Debug, Clone, Copy)]
pub enum TrialRule {
    Successes(u32),
    Rate { trials: u32, threshold: u32 },
}

impl Config {
    pub fn is_slow(&self, nanos: u64) -> bool {
        self.rates.iter().any(|rate| rate.slow) && nanos > self.slower_than * MS
    }

    /// What an abandoned call means.
    pub fn abandoned(&self) -> Abandoned {
        self.abandoned
            .unwrap_or(if self.rates.iter().any(|rate| rate.slow) {
                Abandoned::FailureAfter(Duration::from_millis(self.slower_than))
            } else {
                Abandoned::Failure
            })
    }
}

fn over() -> impl Strategy<Value = (Over, u32)> {
    // And how many calls it can hold, as far as that matters here.
    prop_oneof![
        (1_u32..8).prop_map(|calls| (Over::Calls(calls), calls)),
        (10_u64..60, 1_u32..8).prop_map(|(window, slices)| (Over::Time { window, slices }, 8)),
    ]
}

fn rate() -> impl Strategy<Value = Rate> {
    over()
        .prop_flat_map(|(over, holds)| {
            (
                any::<bool>(),
                Just(over),
                1_u32..=100,
                1..=holds,
                1..=holds.min(3),
            )
        })
        .prop_map(
            |(slow, over, threshold, minimum_calls, minimum_hits)| Rate {
                slow,
                over,
                threshold,
                minimum_calls,
                minimum_hits,
            },
        )
}

fn rates() -> impl Strategy<Value = Vec<Rate>> {
    // Now and then the same window twice.
    (prop::collection::vec(rate(), 0..4), any::<bool>()).prop_map(|(mut rates, twice)| {
        if twice && let Some(first) = rates.first().copied() {
            rates.push(Rate {
                slow: !first.slow,
                ..first
            });
        }
        rates
    })
}

fn wait() -> impl Strategy<Value = Wait> {
    prop_oneof![
        (1_u64..30).prop_map(Wait::Fixed),
        (1_u64..20, 2_u32..7, 1_u64..100).prop_map(|(initial, halves, more)| Wait::Exponential {
            initial,
            halves,
            max: initial + more,
        }),
        prop::array::uniform4(0_u64..30).prop_map(Wait::Function),
    ]
}

fn rule() -> impl Strategy<Value = TrialRule> {
    prop_oneof![
        (1_u32..4).prop_map(TrialRule::Successes),
        (1_u32..7, 1_u32..=100)
            .prop_map(|(trials, threshold)| TrialRule::Rate { trials, threshold }),
    ]
}

fn abandoned() -> impl Strategy<Value = Option<Abandoned>> {
    prop::option::of(prop_oneof![
        Just(Abandoned::Ignore),
        Just(Abandoned::Failure),
        (1_u64..20).prop_map(|ms| Abandoned::FailureAfter(Duration::from_millis(ms))),
    ])
}

pub fn configs() -> impl Strategy<Value = Config> {
    let rules = (prop::option::of(1_u32..5), rates(), 1_u64..20);
    let open = (
        wait(),
        prop_oneof![Just(0_u64), 1_u64..40],
        prop::option::of(1_u64..60),
    );
    let half_open = (
        1_u32..4,
        rule(),
        prop::option::of(1_u64..25),
        prop_oneof![Just(LeaseExpired::Failure), Just(LeaseExpired::Ignore)],
        prop::option::of((1_u64..40, 1_u32..=100)),
    );
    let rest = (
        abandoned(),
        prop_oneof![
            4 => Just(Recovery::Lazy),
            1 => Just(Recovery::Timed),
            2 => Just(Recovery::Probed)
        ],
        prop::bool::weighted(0.1),
    );
    (rules, open, half_open, rest).prop_map(
        |(
            (consecutive, rates, slower_than),
            (wait, stable_after, retry_after_cap),
            (trials, rule, lease, expired, ramp),
            (abandoned, recovery, dry_run),
        )| Config {
            consecutive: consecutive.or(rates.is_empty().then_some(3)),
            rates,
            slower_than,
            wait,
            stable_after,
            retry_after_cap,
            trials,
            rule,
            lease,
            expired,
            ramp,
            abandoned,
            recovery,
            dry_run,
        },
    )
}

/// A breaker whose time is in nanoseconds, and what its listener hears.
pub fn build(
    config: &Config,
    time: &Arc<AtomicU64>,
) -> (CircuitBreaker, Arc<Mutex<Vec<Transition>>>, Instant) {
    let (start, time) = (Instant::now(), time.clone());
    let heard: Arc<Mutex<Vec<Transition>>> = Arc::default();
    let mut builder = CircuitBreaker::builder("model")
        .open_for(match config.wait {
            Wait::Fixed(wait) => Duration::from_millis(wait).into(),
            Wait::Exponential {
                initial,
                halves,
                max,
            } => OpenWait::exponential(Duration::from_millis(initial))
                .factor(f64::from(halves) / 2.0)
                .max(Duration::from_millis(max)),
            Wait::Function(waits) => OpenWait::from_fn(move |attempt| {
                Duration::from_millis(waits[attempt as usize % waits.len()])
            }),
        })
        .stable_after(Duration::from_millis(config.stable_after))
        .half_open_trials(config.trials)
        .trial_lease(config.lease.map(Duration::from_millis))
        .on_lease_expired(config.expired)
        .recovery(config.recovery)
        .dry_run(config.dry_run)
        .clock(move || start + Duration::from_nanos(time.load(Ordering::Relaxed)))
        .listener({
            let heard = heard.clone();
            move |transition| heard.lock().unwrap().push(transition.clone())
        });
    builder = match config.rule {
        TrialRule::Successes(successes) => builder.success_threshold(successes),
        TrialRule::Rate { trials, threshold } => {
            builder.trial_rate(TrialRate::of_trials(trials).threshold(share(threshold)))
        }
    };
    if let Some(limit) = config.consecutive {
        builder = builder.consecutive_failures(limit);
    }
    if let Some(cap) = config.retry_after_cap {
        builder = builder.honor_retry_after(Duration::from_millis(cap));
    }
    if let Some((over, from)) = config.ramp {
        builder = builder.ramp(Ramp::over(Duration::from_millis(over)).from(share(from)));
    }
    if let Some(abandoned) = config.abandoned {
        builder = builder.on_abandoned(abandoned);
    }
    for rate in &config.rates {
        builder = if rate.slow {
            let new = match rate.over {
                Over::Calls(calls) => SlowCallRate::over_calls(calls),
                Over::Time { window, slices } => {
                    SlowCallRate::over_time(Duration::from_millis(window)).slices(slices)
                }
            };
            builder.slow_call_rate(
                new.slower_than(Duration::from_millis(config.slower_than))
                    .threshold(share(rate.threshold))
                    .minimum_calls(rate.minimum_calls)
                    .minimum_slow_calls(rate.minimum_hits),
            )
        } else {
            let new = match rate.over {
                Over::Calls(calls) => FailureRate::over_calls(calls),
                Over::Time { window, slices } => {
                    FailureRate::over_time(Duration::from_millis(window)).slices(slices)
                }
            };
            builder.failure_rate(
                new.threshold(share(rate.threshold))
                    .minimum_calls(rate.minimum_calls)
                    .minimum_failures(rate.minimum_hits),
            )
        };
    }
    (builder.build().unwrap(), heard, start)
}

pub fn share(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}
