//! Configurations that cannot be: each is refused when the circuit breaker is built, with the name of the option, the value, and
//! what is allowed. And the smallest and largest values that can be.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tower_breaker::{
    Abandoned, CircuitBreaker, FailureRate, State,
    breaker::{CircuitBreakerBuilder, OpenWait, Preset, Ramp, SlowCallRate, TrialRate},
};

const NOT_SHARES: [f64; 6] = [f64::NAN, f64::INFINITY, 0.0, -0.1, 1.000_1, -f64::NAN];

fn ns(ns: u64) -> Duration {
    Duration::from_nanos(ns)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

/// With a rule, so that nothing is wrong with it yet.
fn builder() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("stock").consecutive_failures(5)
}

fn problems(builder: CircuitBreakerBuilder) -> Vec<(String, String, String)> {
    let error = builder.build().unwrap_err();
    error
        .problems()
        .iter()
        .map(|problem| {
            (
                problem.option().to_owned(),
                problem.value().to_owned(),
                problem.allowed().to_owned(),
            )
        })
        .collect()
}

#[track_caller]
fn assert_problem(builder: CircuitBreakerBuilder, option: &str, value: &str, allowed: &str) {
    let expected = (option.to_owned(), value.to_owned(), allowed.to_owned());
    assert_eq!(problems(builder), [expected]);
}

#[track_caller]
fn assert_builds(builder: CircuitBreakerBuilder) {
    let shown = format!("{builder:?}");
    if let Err(error) = builder.build() {
        panic!("{error}: {shown}");
    }
}

#[test]
fn name() {
    let builder = CircuitBreaker::builder("").consecutive_failures(1);
    assert_problem(builder, "name", "\"\"", "any text but the empty one");
}

#[test]
fn no_rule() {
    assert_problem(
        CircuitBreaker::builder("stock"),
        "rules",
        "none",
        "at least one of `consecutive_failures`, `failure_rate` and `slow_call_rate`",
    );
}

#[test]
fn any_rule_is_enough() {
    let builder = || CircuitBreaker::builder("stock");
    assert_builds(builder().consecutive_failures(1));
    assert_builds(builder().failure_rate(FailureRate::over_calls(10)));
    assert_builds(builder().slow_call_rate(SlowCallRate::over_calls(10).slower_than(ms(1))));
}

#[test]
fn too_many_rates() {
    let with = |failures: u32, slow: u32| {
        let mut builder = CircuitBreaker::builder("stock");
        for _ in 0..failures {
            builder = builder.failure_rate(FailureRate::over_calls(10));
        }
        for _ in 0..slow {
            let rate = SlowCallRate::over_time(ms(100)).slower_than(ms(1));
            builder = builder.slow_call_rate(rate);
        }
        builder
    };
    assert_builds(with(8, 0));
    assert_builds(with(5, 3));
    let allowed = "at most 8 of `failure_rate` and `slow_call_rate`";
    assert_problem(with(9, 0), "rules", "9 rates", allowed);
    assert_problem(with(5, 4), "rules", "9 rates", allowed);
}

#[test]
fn consecutive_failures() {
    for failures in [1, 1_000_000] {
        assert_builds(builder().consecutive_failures(failures));
    }
    for failures in [0, 1_000_001, u32::MAX] {
        assert_problem(
            builder().consecutive_failures(failures),
            "consecutive_failures",
            &failures.to_string(),
            "1 to 1000000",
        );
    }
}

mod failure_rate {
    use super::*;

    #[test]
    fn over_calls() {
        for calls in [1, 100_000] {
            assert_builds(builder().failure_rate(FailureRate::over_calls(calls)));
        }
        for calls in [0, 100_001, u32::MAX] {
            assert_problem(
                builder().failure_rate(FailureRate::over_calls(calls)),
                "failure_rate.over_calls",
                &calls.to_string(),
                "1 to 100000",
            );
        }
    }

    #[test]
    fn over_time() {
        for time in [ms(10), days(1)] {
            assert_builds(builder().failure_rate(FailureRate::over_time(time)));
        }
        for time in [
            Duration::ZERO,
            ms(10) - ns(1),
            days(1) + ns(1),
            Duration::MAX,
        ] {
            assert_problem(
                builder().failure_rate(FailureRate::over_time(time)),
                "failure_rate.over_time",
                &format!("{time:?}"),
                "10ms to 24h",
            );
        }
    }

    #[test]
    fn slices() {
        let rate =
            |time, slices| builder().failure_rate(FailureRate::over_time(ms(time)).slices(slices));
        for (time, slices) in [(10, 1), (10, 10), (63, 63), (64, 64), (10_000, 64)] {
            assert_builds(rate(time, slices));
        }
        for (time, slices, most) in [
            (10, 0, 10),
            (10, 11, 10),
            (63, 64, 63),
            (10_000, 0, 64),
            (10_000, 65, 64),
            (10_000, u32::MAX, 64),
        ] {
            assert_problem(
                rate(time, slices),
                "failure_rate.slices",
                &slices.to_string(),
                &format!("1 to {most}, so that each of them is at least 1ms"),
            );
        }
        assert_problem(
            builder().failure_rate(FailureRate::over_calls(100).slices(10)),
            "failure_rate.slices",
            "10",
            "not set: only `over_time` has slices",
        );
    }

    #[test]
    fn threshold() {
        for threshold in [f64::MIN_POSITIVE, 1.0] {
            let rate = FailureRate::over_calls(10).threshold(threshold);
            assert_builds(builder().failure_rate(rate));
        }
        for threshold in NOT_SHARES {
            let rate = FailureRate::over_calls(10).threshold(threshold);
            assert_problem(
                builder().failure_rate(rate),
                "failure_rate.threshold",
                &format!("{threshold:?}"),
                "more than 0, up to 1",
            );
        }
    }

    #[test]
    fn minimum_calls() {
        let over_calls =
            |calls| builder().failure_rate(FailureRate::over_calls(50).minimum_calls(calls));
        let over_time =
            |calls| builder().failure_rate(FailureRate::over_time(ms(50)).minimum_calls(calls));
        assert_builds(over_calls(1));
        assert_builds(over_calls(50));
        assert_builds(over_time(100_000));
        let option = "failure_rate.minimum_calls";
        assert_problem(
            over_calls(0),
            option,
            "0",
            "1 to the size of the window, 50",
        );
        assert_problem(
            over_calls(51),
            option,
            "51",
            "1 to the size of the window, 50",
        );
        assert_problem(over_time(0), option, "0", "1 to 100000");
        assert_problem(over_time(100_001), option, "100001", "1 to 100000");
    }

    #[test]
    fn minimum_failures() {
        let over_calls = |failures| {
            builder().failure_rate(FailureRate::over_calls(50).minimum_failures(failures))
        };
        let over_time = |failures| {
            builder().failure_rate(FailureRate::over_time(ms(50)).minimum_failures(failures))
        };
        assert_builds(over_calls(50));
        assert_builds(over_time(100_000));
        let option = "failure_rate.minimum_failures";
        assert_problem(
            over_calls(0),
            option,
            "0",
            "1 to the size of the window, 50",
        );
        assert_problem(
            over_calls(51),
            option,
            "51",
            "1 to the size of the window, 50",
        );
        assert_problem(over_time(0), option, "0", "1 to 100000");
        assert_problem(over_time(100_001), option, "100001", "1 to 100000");
    }

    #[test]
    fn the_one_of_several_that_is_wrong_is_numbered() {
        let builder = builder()
            .failure_rate(FailureRate::over_calls(10))
            .slow_call_rate(SlowCallRate::over_calls(0).slower_than(ms(1)))
            .failure_rate(FailureRate::over_calls(10).threshold(2.0));
        let options: Vec<_> = problems(builder)
            .into_iter()
            .map(|(option, ..)| option)
            .collect();
        assert_eq!(
            options,
            ["slow_call_rate.over_calls", "failure_rate[1].threshold"]
        );
    }
}

mod slow_call_rate {
    use super::*;

    fn over_calls(calls: u32) -> SlowCallRate {
        SlowCallRate::over_calls(calls).slower_than(ms(100))
    }

    fn over_time(time: Duration) -> SlowCallRate {
        SlowCallRate::over_time(time).slower_than(ms(100))
    }

    #[track_caller]
    fn refused(rate: SlowCallRate, option: &str, value: &str, allowed: &str) {
        assert_problem(
            builder().slow_call_rate(rate),
            &format!("slow_call_rate.{option}"),
            value,
            allowed,
        );
    }

    #[test]
    fn slower_than() {
        let rate = SlowCallRate::over_calls(10);
        for limit in [ns(1_000), ms(3_600_000)] {
            assert_builds(builder().slow_call_rate(rate.slower_than(limit)));
        }
        refused(
            rate,
            "slower_than",
            "not set",
            "1us to 1h; there is no default",
        );
        for limit in [
            Duration::ZERO,
            ns(999),
            ms(3_600_000) + ns(1),
            Duration::MAX,
        ] {
            refused(
                rate.slower_than(limit),
                "slower_than",
                &format!("{limit:?}"),
                "1us to 1h",
            );
        }
    }

    #[test]
    fn one_circuit_has_one_idea_of_slow() {
        let rate = SlowCallRate::over_calls(10);
        let builder = || builder().slow_call_rate(rate.slower_than(ms(100)));
        assert_builds(builder().slow_call_rate(rate.slower_than(ms(100))));
        assert_problem(
            builder().slow_call_rate(rate.slower_than(ms(101))),
            "slow_call_rate[1].slower_than",
            "101ms",
            "the same for all rules, 100ms",
        );
        assert_problem(
            builder().slow_call_rate(rate),
            "slow_call_rate[1].slower_than",
            "not set",
            "1us to 1h; there is no default",
        );
    }

    #[test]
    fn window() {
        assert_builds(builder().slow_call_rate(over_calls(100_000)));
        assert_builds(builder().slow_call_rate(over_time(ms(10))));
        refused(over_calls(0), "over_calls", "0", "1 to 100000");
        refused(over_time(ms(9)), "over_time", "9ms", "10ms to 24h");
        refused(
            over_time(ms(10)).slices(11),
            "slices",
            "11",
            "1 to 10, so that each of them is at least 1ms",
        );
        refused(
            over_calls(10).slices(1),
            "slices",
            "1",
            "not set: only `over_time` has slices",
        );
    }

    #[test]
    fn threshold() {
        for threshold in NOT_SHARES {
            refused(
                over_calls(10).threshold(threshold),
                "threshold",
                &format!("{threshold:?}"),
                "more than 0, up to 1",
            );
        }
    }

    #[test]
    fn minimums() {
        assert_builds(builder().slow_call_rate(over_calls(5).minimum_calls(5)));
        assert_builds(builder().slow_call_rate(over_calls(5).minimum_slow_calls(5)));
        refused(
            over_calls(5).minimum_calls(6),
            "minimum_calls",
            "6",
            "1 to the size of the window, 5",
        );
        refused(
            over_calls(5).minimum_slow_calls(0),
            "minimum_slow_calls",
            "0",
            "1 to the size of the window, 5",
        );
    }
}

mod open_for {
    use super::*;

    fn open_for(wait: impl Into<OpenWait>) -> CircuitBreakerBuilder {
        builder().open_for(wait)
    }

    #[test]
    fn fixed() {
        for wait in [ms(1), days(30)] {
            assert_builds(open_for(wait));
            assert_builds(open_for(OpenWait::fixed(wait)));
        }
        for wait in [
            Duration::ZERO,
            ms(1) - ns(1),
            days(30) + ns(1),
            Duration::MAX,
        ] {
            let value = format!("{wait:?}");
            assert_problem(open_for(wait), "open_for", &value, "1ms to 30 days");
        }
    }

    #[test]
    fn exponential() {
        for wait in [ms(1), days(30)] {
            assert_builds(open_for(OpenWait::exponential(wait)));
        }
        for wait in [
            Duration::ZERO,
            ms(1) - ns(1),
            days(30) + ns(1),
            Duration::MAX,
        ] {
            let value = format!("{wait:?}");
            assert_problem(
                open_for(OpenWait::exponential(wait)),
                "open_for.initial",
                &value,
                "1ms to 30 days",
            );
        }
    }

    #[test]
    fn factor() {
        for factor in [1.0, 10.0] {
            assert_builds(open_for(OpenWait::exponential(ms(1)).factor(factor)));
        }
        for factor in [f64::NAN, f64::INFINITY, 0.0, -2.0, 0.999, 10.001] {
            assert_problem(
                open_for(OpenWait::exponential(ms(1)).factor(factor)),
                "open_for.factor",
                &format!("{factor:?}"),
                "1 to 10",
            );
        }
    }

    #[test]
    fn max() {
        let wait = OpenWait::exponential(ms(100));
        for max in [ms(100), days(30)] {
            assert_builds(open_for(wait.clone().max(max)));
        }
        for max in [Duration::ZERO, ms(99), days(30) + ns(1), Duration::MAX] {
            assert_problem(
                open_for(wait.clone().max(max)),
                "open_for.max",
                &format!("{max:?}"),
                "the initial wait, 100ms, to 30 days",
            );
        }
    }

    #[test]
    fn jitter() {
        for jitter in [0.0, 1.0] {
            assert_builds(open_for(OpenWait::exponential(ms(1)).jitter(jitter)));
        }
        for jitter in [f64::NAN, f64::INFINITY, -0.001, 1.001] {
            assert_problem(
                open_for(OpenWait::exponential(ms(1)).jitter(jitter)),
                "open_for.jitter",
                &format!("{jitter:?}"),
                "0 to 1",
            );
        }
    }

    #[test]
    fn only_what_grows_has_options_of_growth() {
        let allowed = "not set: only `OpenWait::exponential` has it";
        let own = || OpenWait::from_fn(|_| Duration::ZERO);
        assert_builds(open_for(own()));
        for wait in [OpenWait::fixed(ms(1)), own()] {
            assert_problem(
                open_for(wait.clone().factor(2.0)),
                "open_for.factor",
                "2.0",
                allowed,
            );
            assert_problem(
                open_for(wait.clone().max(ms(5))),
                "open_for.max",
                "5ms",
                allowed,
            );
            assert_problem(
                open_for(wait.jitter(0.5)),
                "open_for.jitter",
                "0.5",
                allowed,
            );
        }
    }
}

#[test]
fn on_abandoned() {
    for limit in [Duration::ZERO, days(30)] {
        assert_builds(builder().on_abandoned(Abandoned::FailureAfter(limit)));
    }
    for limit in [days(30) + ns(1), Duration::MAX] {
        assert_problem(
            builder().on_abandoned(Abandoned::FailureAfter(limit)),
            "on_abandoned.failure_after",
            &format!("{limit:?}"),
            "0ns to 30 days",
        );
    }
}

#[test]
fn stable_after() {
    for time in [Duration::ZERO, days(30)] {
        assert_builds(builder().stable_after(time));
    }
    for time in [days(30) + ns(1), Duration::MAX] {
        assert_problem(
            builder().stable_after(time),
            "stable_after",
            &format!("{time:?}"),
            "0ns to 30 days",
        );
    }
}

#[test]
fn honor_retry_after() {
    for max in [ms(1), days(30)] {
        assert_builds(builder().honor_retry_after(max));
    }
    for max in [Duration::ZERO, days(30) + ns(1), Duration::MAX] {
        assert_problem(
            builder().honor_retry_after(max),
            "honor_retry_after",
            &format!("{max:?}"),
            "1ms to 30 days",
        );
    }
}

#[test]
fn half_open_trials() {
    for trials in [1, 255] {
        assert_builds(builder().half_open_trials(trials));
    }
    for trials in [0, 256, u32::MAX] {
        assert_problem(
            builder().half_open_trials(trials),
            "half_open_trials",
            &trials.to_string(),
            "1 to 255",
        );
    }
}

#[test]
fn success_threshold() {
    for successes in [1, 255] {
        assert_builds(builder().success_threshold(successes));
    }
    for successes in [0, 256, u32::MAX] {
        assert_problem(
            builder().success_threshold(successes),
            "success_threshold",
            &successes.to_string(),
            "1 to 255",
        );
    }
}

#[test]
fn trial_rate() {
    for trials in [1, 255] {
        assert_builds(builder().trial_rate(TrialRate::of_trials(trials)));
    }
    for trials in [0, 256, u32::MAX] {
        assert_problem(
            builder().trial_rate(TrialRate::of_trials(trials)),
            "trial_rate.of_trials",
            &trials.to_string(),
            "1 to 255",
        );
    }
    for threshold in NOT_SHARES {
        assert_problem(
            builder().trial_rate(TrialRate::of_trials(10).threshold(threshold)),
            "trial_rate.threshold",
            &format!("{threshold:?}"),
            "more than 0, up to 1",
        );
    }
}

#[test]
fn trials_are_judged_in_one_way_only() {
    let builder = || builder().trial_rate(TrialRate::of_trials(10));
    assert_problem(
        builder().success_threshold(3),
        "success_threshold",
        "3",
        "not set: with `trial_rate` the rate decides",
    );
    let preset = CircuitBreaker::builder("stock").preset(Preset::OneMinute);
    assert_builds(preset.trial_rate(TrialRate::of_trials(10)));
}

#[test]
fn trial_lease() {
    for lease in [ms(1), days(30)] {
        assert_builds(builder().trial_lease(lease));
    }
    assert_builds(builder().trial_lease(None));
    for lease in [
        Duration::ZERO,
        ms(1) - ns(1),
        days(30) + ns(1),
        Duration::MAX,
    ] {
        assert_problem(
            builder().trial_lease(lease),
            "trial_lease",
            &format!("{lease:?}"),
            "1ms to 30 days",
        );
    }
}

#[test]
fn ramp() {
    for time in [ms(1), days(30)] {
        assert_builds(builder().ramp(Ramp::over(time)));
    }
    for time in [Duration::ZERO, days(30) + ns(1), Duration::MAX] {
        assert_problem(
            builder().ramp(Ramp::over(time)),
            "ramp.over",
            &format!("{time:?}"),
            "1ms to 30 days",
        );
    }
    assert_builds(builder().ramp(Ramp::over(ms(1)).from(1.0)));
    for share in NOT_SHARES {
        assert_problem(
            builder().ramp(Ramp::over(ms(1)).from(share)),
            "ramp.from",
            &format!("{share:?}"),
            "more than 0, up to 1",
        );
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_the_order_of_the_options() {
    let error = CircuitBreaker::builder("")
        .ramp(Ramp::over(Duration::ZERO).from(f64::NAN))
        .trial_lease(Duration::ZERO)
        .trial_rate(TrialRate::of_trials(0))
        .success_threshold(1)
        .half_open_trials(0)
        .honor_retry_after(Duration::ZERO)
        .stable_after(Duration::MAX)
        .open_for(
            OpenWait::exponential(ms(2))
                .factor(0.0)
                .max(ms(1))
                .jitter(2.0),
        )
        .slow_call_rate(SlowCallRate::over_calls(10))
        .failure_rate(
            FailureRate::over_time(ms(20))
                .slices(21)
                .threshold(0.0)
                .minimum_calls(0)
                .minimum_failures(0),
        )
        .consecutive_failures(0)
        .build()
        .unwrap_err();
    let options: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| problem.option())
        .collect();
    assert_eq!(
        options,
        [
            "name",
            "consecutive_failures",
            "slow_call_rate.slower_than",
            "failure_rate.slices",
            "failure_rate.threshold",
            "failure_rate.minimum_calls",
            "failure_rate.minimum_failures",
            "open_for.factor",
            "open_for.max",
            "open_for.jitter",
            "stable_after",
            "honor_retry_after",
            "half_open_trials",
            "success_threshold",
            "trial_rate.of_trials",
            "trial_lease",
            "ramp.over",
            "ramp.from",
        ]
    );
    let text = error.to_string();
    assert!(
        text.starts_with("circuit breaker `` cannot be built: `name` is \"\"; allowed: "),
        "{text}"
    );
    assert!(
        text.contains("; `half_open_trials` is 0; allowed: 1 to 255; "),
        "{text}"
    );
}

#[test]
fn presets_build() {
    for preset in [
        Preset::OneMinute,
        Preset::FiveSeconds,
        Preset::HalfMinute,
        Preset::HttpClient,
    ] {
        assert_builds(CircuitBreaker::builder("stock").preset(preset));
    }
}

fn fail(breaker: &CircuitBreaker, calls: usize) {
    for _ in 0..calls {
        assert_eq!(breaker.state(), State::Closed);
        breaker.try_acquire().unwrap().failure();
    }
}

// What is left of the open wait; then it is over.
async fn sit_out(breaker: &CircuitBreaker) -> Duration {
    assert_eq!(breaker.state(), State::Open);
    let wait = breaker.snapshot().open_remaining.unwrap();
    tokio::time::advance(wait - ns(1)).await;
    assert!(breaker.try_acquire().is_err());
    tokio::time::advance(ns(1)).await;
    wait
}

#[tokio::test(start_paused = true)]
async fn the_defaults_are_what_the_documentation_says() {
    let breaker = builder().build().unwrap();
    fail(&breaker, 5);
    assert_eq!(sit_out(&breaker).await, ms(30_000), "open_for");
    let trial = breaker.try_acquire().unwrap();
    assert!(breaker.try_acquire().is_err(), "half_open_trials");
    tokio::time::advance(ms(60_000) - ns(1)).await;
    assert!(breaker.try_acquire().is_err());
    assert_eq!(breaker.state(), State::HalfOpen);
    tokio::time::advance(ns(1)).await;
    assert!(breaker.try_acquire().is_err());
    assert_eq!(breaker.state(), State::Open, "trial_lease");
    assert_eq!(breaker.snapshot().leases_expired, 1);
    trial.success();
    assert_eq!(breaker.snapshot().stale, 1);

    assert_eq!(sit_out(&breaker).await, ms(30_000), "fixed");
    drop(breaker.try_acquire().unwrap());
    assert_eq!(breaker.state(), State::Open, "on_abandoned");
    sit_out(&breaker).await;
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed, "success_threshold");
    let calls: Vec<_> = (0..100).map(|_| breaker.try_acquire()).collect();
    assert!(calls.iter().all(Result::is_ok), "no ramp");
}

#[tokio::test(start_paused = true)]
async fn the_simple_presets_do_what_their_table_says() {
    for (preset, failures, wait, successes) in [
        (Preset::OneMinute, 5, 60, 2),
        (Preset::FiveSeconds, 3, 5, 1),
        (Preset::HalfMinute, 5, 30, 1),
    ] {
        let breaker = CircuitBreaker::builder("stock")
            .preset(preset)
            .build()
            .unwrap();
        fail(&breaker, failures);
        assert_eq!(
            sit_out(&breaker).await,
            Duration::from_secs(wait),
            "{preset:?}"
        );
        for _ in 0..successes {
            assert_ne!(breaker.state(), State::Closed, "{preset:?}");
            breaker.try_acquire().unwrap().success();
        }
        assert_eq!(breaker.state(), State::Closed, "{preset:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_preset_for_http_clients_waits_longer_each_time() {
    let breaker = CircuitBreaker::builder("stock")
        .preset(Preset::HttpClient)
        .build()
        .unwrap();
    fail(&breaker, 10);
    for longest in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
        let wait = sit_out(&breaker).await;
        assert!(
            (ms(longest * 4 / 5)..=ms(longest)).contains(&wait),
            "{wait:?} of {longest} ms"
        );
        breaker.try_acquire().unwrap().failure();
    }
}

#[tokio::test(start_paused = true)]
async fn the_preset_for_http_clients_notices_half_an_outage() {
    let breaker = CircuitBreaker::builder("stock")
        .preset(Preset::HttpClient)
        .build()
        .unwrap();
    for call in 1..=20 {
        assert_eq!(breaker.state(), State::Closed, "{call}");
        let permit = breaker.try_acquire().unwrap();
        if call % 2 == 0 {
            permit.failure();
        } else {
            permit.success();
        }
    }
    assert_eq!(breaker.state(), State::Open);
}
