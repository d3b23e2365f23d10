//! What the state machine is given: that defaults and presets are what the documentation says, to the nanosecond.

use super::*;
use crate::breaker::policy::{Kind, Over, TrialRule, Wait};

const SECOND: u64 = 1_000_000_000;

fn builder() -> CircuitBreakerBuilder {
    CircuitBreakerBuilder::new("stock".into())
}

fn policy(builder: &CircuitBreakerBuilder) -> Policy {
    let mut problems = Vec::new();
    let policy = builder.check(&mut problems);
    assert_eq!(problems, []);
    policy
}

fn preset(preset: Preset) -> Policy {
    policy(&builder().preset(preset))
}

fn fixed(wait: &Wait) -> u64 {
    match wait {
        Wait::Fixed(wait) => *wait,
        other => panic!("{other:?}"),
    }
}

fn exponential(wait: &Wait) -> (u64, f64, u64, f64) {
    match wait {
        Wait::Exponential {
            initial,
            factor,
            max,
            jitter,
        } => (*initial, *factor, *max, *jitter),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_defaults_of_the_circuit() {
    let builder = builder().consecutive_failures(5);
    let policy = policy(&builder);
    assert_eq!(policy.consecutive_failures, Some(5));
    assert_eq!(policy.rates, []);
    assert_eq!(policy.slow_call, None);
    assert_eq!(fixed(&policy.open_wait), 30 * SECOND);
    assert_eq!(policy.stable_after, 0);
    assert_eq!(policy.retry_after_cap, None);
    assert_eq!(policy.half_open_trials, 1);
    assert_eq!(policy.trial_rule, TrialRule::Successes(1));
    let expired = LeaseExpired::Failure;
    assert_eq!(
        policy.lease,
        Some(Lease {
            time: 60 * SECOND,
            expired
        })
    );
    assert_eq!(policy.ramp, None);
    assert_eq!(builder.abandoned(), Abandoned::Failure);
    assert_eq!(builder.recovery, Recovery::Lazy);
    assert!(!builder.dry_run);
}

#[test]
fn the_defaults_of_a_rate_over_calls() {
    for (calls, minimum_calls) in [(1, 1), (19, 19), (20, 20), (100_000, 20)] {
        let policy = policy(&builder().failure_rate(FailureRate::over_calls(calls)));
        assert_eq!(
            policy.rates,
            [RateRule {
                kind: Kind::Failures,
                over: Over::Calls(calls),
                minimum_calls,
                minimum_hits: 1,
                threshold: 0.5,
            }]
        );
    }
}

#[test]
fn the_defaults_of_a_rate_over_time() {
    let limit = Duration::from_micros(1_500);
    let rate = SlowCallRate::over_time(Duration::from_secs(3)).slower_than(limit);
    let builder = builder().slow_call_rate(rate);
    let policy = policy(&builder);
    assert_eq!(
        policy.rates,
        [RateRule {
            kind: Kind::Slow,
            over: Over::Time {
                window: 3 * SECOND,
                slices: 10
            },
            minimum_calls: 20,
            minimum_hits: 1,
            threshold: 0.5,
        }]
    );
    assert_eq!(policy.slow_call, Some(1_500_000));
    assert_eq!(builder.abandoned(), Abandoned::FailureAfter(limit));
}

#[test]
fn an_abandoned_call_means_what_was_said_slow_calls_or_not() {
    let rate = SlowCallRate::over_calls(10).slower_than(Duration::from_secs(1));
    let builder = builder()
        .on_abandoned(Abandoned::Ignore)
        .slow_call_rate(rate);
    assert_eq!(builder.abandoned(), Abandoned::Ignore);
}

#[test]
fn rates_keep_the_order_in_which_they_were_given() {
    let slow = |calls| SlowCallRate::over_calls(calls).slower_than(Duration::from_secs(1));
    let policy = policy(
        &builder()
            .slow_call_rate(slow(1))
            .failure_rate(FailureRate::over_calls(2))
            .slow_call_rate(slow(3)),
    );
    let order: Vec<_> = policy
        .rates
        .iter()
        .map(|rate| (rate.kind, rate.over))
        .collect();
    assert_eq!(
        order,
        [
            (Kind::Slow, Over::Calls(1)),
            (Kind::Failures, Over::Calls(2)),
            (Kind::Slow, Over::Calls(3)),
        ]
    );
}

#[test]
fn the_defaults_of_an_exponential_wait() {
    let wait = |initial| {
        let wait = OpenWait::exponential(Duration::from_secs(initial));
        let policy = policy(&builder().consecutive_failures(1).open_for(wait));
        exponential(&policy.open_wait)
    };
    assert_eq!(wait(1), (SECOND, 2.0, 600 * SECOND, 0.0));
    assert_eq!(
        wait(3_600),
        (3_600 * SECOND, 2.0, 3_600 * SECOND, 0.0),
        "the maximum is no shorter than the initial wait"
    );
}

#[test]
fn the_defaults_of_a_ramp_and_of_a_trial_rate() {
    let policy = policy(
        &builder()
            .consecutive_failures(1)
            .ramp(Ramp::over(Duration::from_secs(1)))
            .trial_rate(TrialRate::of_trials(10)),
    );
    assert_eq!(
        policy.ramp.map(|ramp| (ramp.over, ramp.from)),
        Some((SECOND, 0.1))
    );
    assert_eq!(
        policy.trial_rule,
        TrialRule::Rate {
            trials: 10,
            failures: 5
        }
    );
}

#[test]
fn what_is_set_is_what_the_machine_gets() {
    let builder = builder()
        .consecutive_failures(7)
        .failure_rate(
            FailureRate::over_time(Duration::from_secs(1))
                .slices(4)
                .threshold(0.25)
                .minimum_calls(8)
                .minimum_failures(3),
        )
        .open_for(
            OpenWait::exponential(Duration::from_secs(1))
                .factor(1.5)
                .max(Duration::from_secs(9))
                .jitter(0.3),
        )
        .stable_after(Duration::from_secs(11))
        .honor_retry_after(Duration::from_secs(12))
        .half_open_trials(13)
        .success_threshold(14)
        .trial_lease(Duration::from_secs(15))
        .on_lease_expired(LeaseExpired::Ignore)
        .ramp(Ramp::over(Duration::from_secs(16)).from(0.5))
        .on_abandoned(Abandoned::Ignore)
        .recovery(Recovery::Probed)
        .dry_run(true);
    let policy = policy(&builder);
    assert_eq!(policy.consecutive_failures, Some(7));
    assert_eq!(
        policy.rates,
        [RateRule {
            kind: Kind::Failures,
            over: Over::Time {
                window: SECOND,
                slices: 4
            },
            minimum_calls: 8,
            minimum_hits: 3,
            threshold: 0.25,
        }]
    );
    assert_eq!(
        exponential(&policy.open_wait),
        (SECOND, 1.5, 9 * SECOND, 0.3)
    );
    assert_eq!(policy.stable_after, 11 * SECOND);
    assert_eq!(policy.retry_after_cap, Some(12 * SECOND));
    assert_eq!(policy.half_open_trials, 13);
    assert_eq!(policy.trial_rule, TrialRule::Successes(14));
    let expired = LeaseExpired::Ignore;
    assert_eq!(
        policy.lease,
        Some(Lease {
            time: 15 * SECOND,
            expired
        })
    );
    assert_eq!(
        policy.ramp.map(|ramp| (ramp.over, ramp.from)),
        Some((16 * SECOND, 0.5))
    );
    assert_eq!(builder.abandoned(), Abandoned::Ignore);
    assert_eq!(builder.recovery, Recovery::Probed);
    assert!(builder.dry_run);
}

#[test]
fn a_function_gives_the_wait() {
    let wait = OpenWait::from_fn(|attempt| Duration::from_secs(attempt.into()));
    let policy = policy(&builder().consecutive_failures(1).open_for(wait));
    assert_eq!(policy.open_wait.after(3, || 0), 3 * SECOND);
}

#[test]
fn no_lease() {
    assert_eq!(
        policy(&builder().consecutive_failures(1).trial_lease(None)).lease,
        None
    );
}

#[test]
fn the_simple_presets() {
    for (name, failures, wait, successes) in [
        (Preset::OneMinute, 5, 60, 2),
        (Preset::FiveSeconds, 3, 5, 1),
        (Preset::HalfMinute, 5, 30, 1),
    ] {
        let policy = preset(name);
        assert_eq!(policy.consecutive_failures, Some(failures), "{name:?}");
        assert_eq!(policy.rates, [], "{name:?}");
        assert_eq!(fixed(&policy.open_wait), wait * SECOND, "{name:?}");
        assert_eq!(
            policy.trial_rule,
            TrialRule::Successes(successes),
            "{name:?}"
        );
    }
}

#[test]
fn the_preset_for_http_clients() {
    assert_eq!(Preset::default(), Preset::HttpClient);
    let policy = preset(Preset::HttpClient);
    assert_eq!(policy.consecutive_failures, Some(10));
    assert_eq!(
        policy.rates,
        [RateRule {
            kind: Kind::Failures,
            over: Over::Time {
                window: 10 * SECOND,
                slices: 10
            },
            minimum_calls: 20,
            minimum_hits: 5,
            threshold: 0.5,
        }]
    );
    assert_eq!(
        exponential(&policy.open_wait),
        (5 * SECOND, 2.0, 60 * SECOND, 0.2)
    );
    assert_eq!(policy.stable_after, 30 * SECOND);
    assert_eq!(policy.half_open_trials, 1);
    assert_eq!(policy.trial_rule, TrialRule::Successes(1));
    assert_eq!(policy.lease.map(|lease| lease.time), Some(30 * SECOND));
    assert_eq!(policy.retry_after_cap, Some(60 * SECOND));
}

#[test]
fn a_preset_replaces_the_rules_and_later_calls_change_it() {
    let policy = policy(
        &builder()
            .failure_rate(FailureRate::over_calls(1))
            .success_threshold(9)
            .dry_run(true)
            .preset(Preset::OneMinute)
            .consecutive_failures(6)
            .failure_rate(FailureRate::over_calls(2))
            .open_for(Duration::from_secs(1)),
    );
    assert_eq!(policy.consecutive_failures, Some(6));
    let windows: Vec<_> = policy.rates.iter().map(|rate| rate.over).collect();
    assert_eq!(windows, [Over::Calls(2)]);
    assert_eq!(fixed(&policy.open_wait), SECOND);
    assert_eq!(policy.trial_rule, TrialRule::Successes(2));
}

#[test]
fn a_trial_rate_replaces_the_success_threshold_of_a_preset() {
    let policy = policy(
        &builder()
            .preset(Preset::OneMinute)
            .trial_rate(TrialRate::of_trials(4)),
    );
    assert_eq!(
        policy.trial_rule,
        TrialRule::Rate {
            trials: 4,
            failures: 2
        }
    );
}
