//! A circuit breaker's options from a configuration file: what is read, and what is refused in which words.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tower_breaker::{
    Abandoned, CircuitBreaker, FailureRate, Recovery,
    breaker::{
        CircuitBreakerBuilder, CircuitBreakerConfig, LeaseExpired, OpenWait, Preset, Ramp,
        SlowCallRate, TrialRate,
    },
};

fn read(toml: &str) -> CircuitBreakerConfig {
    toml::from_str(toml).unwrap()
}

// The path comes first, then perhaps toml's picture of the line, then the reason.
fn assert_refused(toml: &str, path: &str, reason: &str) {
    let error = toml::from_str::<CircuitBreakerConfig>(toml)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with(&format!("`{path}`: ")), "{error}");
    assert!(error.contains(reason), "{error}\nis not: {reason}");
}

// Builders show all their options, so two that look the same are the same.
fn assert_same(toml: &str, by_hand: impl FnOnce(CircuitBreakerBuilder) -> CircuitBreakerBuilder) {
    let by_hand = by_hand(CircuitBreaker::builder("stock"));
    let read = read(toml).builder("stock");
    assert_eq!(format!("{read:?}"), format!("{by_hand:?}"));
    read.build().unwrap();
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const EVERYTHING: &str = r#"
    preset = "five_seconds"
    consecutive_failures = 4
    open_for = { initial = "1s 500ms", factor = 3.0, max = "1m 30s", jitter = 0.25 }
    stable_after = "45s"
    honor_retry_after = "2m"
    half_open_trials = 2
    trial_lease = "250ms"
    on_lease_expired = "ignore"
    on_abandoned = { failure_after = "7s" }
    recovery = "timed"
    dry_run = true

    [[failure_rate]]
    over_calls = 100
    threshold = 0.6
    minimum_calls = 30

    [[failure_rate]]
    over_time = "10s"
    slices = 20
    minimum_failures = 5

    [slow_call_rate]
    over_time = "1m"
    slices = 6
    slower_than = "800ms"
    threshold = 0.9
    minimum_calls = 10
    minimum_slow_calls = 3

    [trial_rate]
    of_trials = 10
    threshold = 0.3

    [ramp]
    over = "30s"
    from = 0.2
"#;

#[test]
fn every_key_is_the_option_of_that_name() {
    assert_same(EVERYTHING, |builder| {
        builder
            .preset(Preset::FiveSeconds)
            .consecutive_failures(4)
            .failure_rate(
                FailureRate::over_calls(100)
                    .threshold(0.6)
                    .minimum_calls(30),
            )
            .failure_rate(
                FailureRate::over_time(seconds(10))
                    .slices(20)
                    .minimum_failures(5),
            )
            .slow_call_rate(
                SlowCallRate::over_time(seconds(60))
                    .slices(6)
                    .slower_than(Duration::from_millis(800))
                    .threshold(0.9)
                    .minimum_calls(10)
                    .minimum_slow_calls(3),
            )
            .open_for(
                OpenWait::exponential(Duration::from_millis(1_500))
                    .factor(3.0)
                    .max(seconds(90))
                    .jitter(0.25),
            )
            .stable_after(seconds(45))
            .honor_retry_after(seconds(120))
            .half_open_trials(2)
            .trial_rate(TrialRate::of_trials(10).threshold(0.3))
            .trial_lease(Duration::from_millis(250))
            .on_lease_expired(LeaseExpired::Ignore)
            .ramp(Ramp::over(seconds(30)).from(0.2))
            .on_abandoned(Abandoned::FailureAfter(seconds(7)))
            .recovery(Recovery::Timed)
            .dry_run(true)
    });
}

#[test]
fn what_is_absent_is_left_at_its_default() {
    assert_same("consecutive_failures = 5", |builder| {
        builder.consecutive_failures(5)
    });
    assert_same("failure_rate = { over_calls = 50 }", |builder| {
        builder.failure_rate(FailureRate::over_calls(50))
    });
    assert_same(
        "consecutive_failures = 5\nramp = { over = '5s' }\ntrial_rate = { of_trials = 3 }\nopen_for = { initial = '1s' }",
        |builder| {
            builder
                .consecutive_failures(5)
                .ramp(Ramp::over(seconds(5)))
                .trial_rate(TrialRate::of_trials(3))
                .open_for(OpenWait::exponential(seconds(1)))
        },
    );
}

#[test]
fn an_empty_configuration_is_read_and_has_no_rule() {
    assert_eq!(read(""), CircuitBreakerConfig::default());
    let error = read("").builder("stock").build().unwrap_err();
    assert_eq!(error.problems()[0].option(), "rules");
}

#[test]
fn presets_by_name() {
    for (name, preset) in [
        ("one_minute", Preset::OneMinute),
        ("five_seconds", Preset::FiveSeconds),
        ("half_minute", Preset::HalfMinute),
        ("http_client", Preset::HttpClient),
    ] {
        assert_same(&format!("preset = {name:?}"), |builder| {
            builder.preset(preset)
        });
    }
}

#[test]
fn a_rate_replaces_those_of_the_preset() {
    assert_same(
        "preset = 'http_client'\nfailure_rate = { over_calls = 50 }",
        |builder| {
            // The wait and all else are the preset's.
            builder
                .preset(Preset::HttpClient)
                .preset(Preset::FiveSeconds)
                .consecutive_failures(10)
                .failure_rate(FailureRate::over_calls(50))
                .open_for(
                    OpenWait::exponential(seconds(5))
                        .factor(2.0)
                        .max(seconds(60))
                        .jitter(0.2),
                )
        },
    );
    assert_same(
        "preset = 'http_client'\nfailure_rate = []\nopen_for = '5s'",
        |builder| {
            builder
                .preset(Preset::HttpClient)
                .preset(Preset::FiveSeconds)
                .consecutive_failures(10)
        },
    );
}

#[test]
fn the_shorter_ways_to_say_it() {
    for (toml, abandoned) in [
        ("'ignore'", Abandoned::Ignore),
        ("'failure'", Abandoned::Failure),
        (
            "{ failure_after = '2s' }",
            Abandoned::FailureAfter(seconds(2)),
        ),
    ] {
        assert_same(
            &format!("consecutive_failures = 1\non_abandoned = {toml}"),
            |builder| builder.consecutive_failures(1).on_abandoned(abandoned),
        );
    }
    for (toml, recovery) in [
        ("lazy", Recovery::Lazy),
        ("timed", Recovery::Timed),
        ("probed", Recovery::Probed),
    ] {
        assert_same(
            &format!("consecutive_failures = 1\nrecovery = {toml:?}"),
            |builder| builder.consecutive_failures(1).recovery(recovery),
        );
    }
    assert_same(
        "consecutive_failures = 1\nopen_for = '90s'\ntrial_lease = 'none'",
        |builder| {
            builder
                .consecutive_failures(1)
                .open_for(seconds(90))
                .trial_lease(None)
        },
    );
}

#[test]
fn what_is_written_is_read_again_as_it_was() {
    for toml in [
        "",
        EVERYTHING,
        "preset = 'http_client'",
        "open_for = '90s'\ntrial_lease = 'none'\non_abandoned = 'ignore'",
        "open_for = '1ns'\nstable_after = '30days'",
        "failure_rate = []",
    ] {
        let config = read(toml);
        let toml = toml::to_string(&config).unwrap();
        assert_eq!(read(&toml), config, "{toml}");
        let json = serde_json::to_string(&config).unwrap();
        let again: CircuitBreakerConfig = serde_json::from_str(&json).unwrap();
        assert_eq!(again, config, "{json}");
    }
}

#[test]
fn an_unknown_key_is_an_error_at_every_level() {
    for (toml, path) in [
        ("consecutive_failure = 5", "consecutive_failure"),
        (
            "failure_rate = { over_calls = 5, treshold = 0.5 }",
            "failure_rate.treshold",
        ),
        (
            "failure_rate = [{ over_calls = 5 }, { over_calls = 5, slower_than = '1s' }]",
            "failure_rate[1].slower_than",
        ),
        (
            "slow_call_rate = { over_calls = 5, slower_than = '1s', minimum_failures = 1 }",
            "slow_call_rate.minimum_failures",
        ),
        ("open_for = { initial = '1s', min = '1s' }", "open_for.min"),
        (
            "trial_rate = { of_trials = 5, minimum = 1 }",
            "trial_rate.minimum",
        ),
        ("ramp = { over = '1s', to = 1.0 }", "ramp.to"),
    ] {
        let key = path.rsplit('.').next().unwrap();
        assert_refused(toml, path, &format!("unknown field `{key}`, expected "));
    }
}

#[test]
fn all_unknown_keys_are_named_at_once_and_a_wrong_value_besides() {
    let error = toml::from_str::<CircuitBreakerConfig>(
        "consecutive_failure = 5\nfailure_rate = [{ over_calls = 5, slow = 1 }, { over_calls = 5, fast = 1 }]\n\
         ramp = { over = '1s', to = 1.0 }\nrecovry = 'lazy'\nstable_after = 5",
    );
    let error = error.unwrap_err().to_string();
    for path in [
        "consecutive_failure",
        "recovry",
        "failure_rate[0].slow",
        "failure_rate[1].fast",
        "ramp.to",
    ] {
        assert!(
            error.contains(&format!("`{path}`: unknown field")),
            "{error}"
        );
    }
    // What comes after a wrong value is not read any more.
    assert!(error.contains("`stable_after`: "), "{error}");
}

#[test]
fn a_bare_number_is_no_duration_and_the_error_says_why() {
    for (toml, path) in [
        ("open_for = 5", "open_for"),
        ("open_for = { initial = 5 }", "open_for.initial"),
        ("open_for = { initial = '1s', max = 5 }", "open_for.max"),
        ("stable_after = 5", "stable_after"),
        ("honor_retry_after = 5", "honor_retry_after"),
        ("trial_lease = 5", "trial_lease"),
        (
            "on_abandoned = { failure_after = 5 }",
            "on_abandoned.failure_after",
        ),
        ("failure_rate = { over_time = 5 }", "failure_rate.over_time"),
        (
            "failure_rate = [{ over_calls = 5 }, { over_time = 5 }]",
            "failure_rate[1].over_time",
        ),
        (
            "slow_call_rate = { over_calls = 5, slower_than = 5 }",
            "slow_call_rate.slower_than",
        ),
        ("ramp = { over = 5 }", "ramp.over"),
    ] {
        assert_refused(
            toml,
            path,
            "invalid type: integer `5`, expected a duration as text with its unit, like \"250ms\", \
             \"5s\" or \"1m 30s\" (a bare number has no unit)",
        );
    }
}

#[test]
fn what_is_no_duration_is_quoted_in_the_error() {
    for text in [
        "",
        "5",
        "fast",
        "5 parsecs",
        "-5s",
        "99999999999999999999s",
        "18446744073709551615y",
    ] {
        for key in ["open_for", "stable_after", "trial_lease"] {
            assert_refused(
                &format!("{key} = {text:?}"),
                key,
                &format!("invalid value: string {text:?}, expected a duration as text"),
            );
        }
    }
}

#[test]
fn a_wrong_value_is_named_with_what_is_allowed() {
    for (toml, error) in [
        (
            "preset = 'http'",
            "`preset`: unknown variant `http`, expected one of `one_minute`, `five_seconds`, \
             `half_minute`, `http_client`",
        ),
        (
            "recovery = 'later'",
            "`recovery`: unknown variant `later`, expected one of `lazy`, `timed`, `probed`",
        ),
        (
            "on_lease_expired = 'success'",
            "`on_lease_expired`: unknown variant `success`, expected `failure` or `ignore`",
        ),
        (
            "on_abandoned = 'success'",
            "`on_abandoned`: unknown variant `success`, expected one of `ignore`, `failure`, \
             `failure_after`",
        ),
        (
            "consecutive_failures = -1",
            "`consecutive_failures`: invalid value: integer `-1`, expected u32",
        ),
        (
            "half_open_trials = 'two'",
            "`half_open_trials`: invalid type: string \"two\", expected u32",
        ),
        (
            "dry_run = 'yes'",
            "`dry_run`: invalid type: string \"yes\", expected a boolean",
        ),
        (
            "trial_lease = 'never'",
            "`trial_lease`: invalid value: string \"never\", expected a duration as text with its \
             unit, like \"250ms\", \"5s\" or \"1m 30s\" (a bare number has no unit), or \"none\"",
        ),
        (
            "failure_rate = 0.5",
            "`failure_rate`: invalid type: floating point `0.5`, expected a table, or a list of \
             tables",
        ),
        (
            "slow_call_rate = { over_calls = 5 }",
            "`slow_call_rate`: missing field `slower_than`",
        ),
        ("ramp = { from = 0.5 }", "`ramp`: missing field `over`"),
    ] {
        let (path, reason) = error.split_once(": ").unwrap();
        assert_refused(toml, path.trim_matches('`'), reason);
    }
}

#[test]
fn a_rate_has_exactly_one_window() {
    for (toml, error) in [
        (
            "failure_rate = { threshold = 0.5 }",
            "`failure_rate`: no window: exactly one of `over_calls` and `over_time` is needed",
        ),
        (
            "failure_rate = [{ over_calls = 5 }, { over_calls = 5, over_time = '5s' }]",
            "`failure_rate[1]`: two windows: exactly one of `over_calls` and `over_time` is needed",
        ),
        (
            "slow_call_rate = [{ slower_than = '5s' }]",
            "`slow_call_rate[0]`: no window: exactly one of `over_calls` and `over_time` is needed",
        ),
    ] {
        let (path, reason) = error.split_once(": ").unwrap();
        assert_refused(toml, path.trim_matches('`'), reason);
    }
}

#[test]
fn what_is_out_of_range_is_the_builders_business_under_the_same_names() {
    let error = read(
        "consecutive_failures = 0
         failure_rate = [{ over_calls = 5 }, { over_time = '1ms', threshold = nan }]
         open_for = { initial = '0s' }",
    )
    .builder("stock")
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
            "consecutive_failures",
            "failure_rate[1].over_time",
            "failure_rate[1].threshold",
            "open_for.initial",
        ]
    );
}

#[test]
fn errors_name_the_key_whatever_the_format() {
    let error = serde_json::from_str::<CircuitBreakerConfig>(r#"{"ramp": {"over": 5}}"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`ramp.over`: invalid type"), "{error}");
    let error = serde_json::from_str::<CircuitBreakerConfig>("5")
        .unwrap_err()
        .to_string();
    assert!(error.contains("invalid type: integer `5`"), "{error}");
}

#[test]
fn as_a_table_among_others() {
    #[derive(serde::Deserialize)]
    struct Upstream {
        breaker: CircuitBreakerConfig,
    }
    let upstream: Upstream =
        toml::from_str("[breaker]\nconsecutive_failures = 2\nopen_for = '1s'").unwrap();
    let breaker = upstream.breaker.builder("stock").build().unwrap();
    assert_eq!(breaker.name(), "stock");
}

#[test]
fn a_table_is_no_list_of_its_values() {
    assert_refused(r#"ramp = ["10s", 0.1]"#, "ramp", "expected a table");
    assert_refused("trial_rate = [10, 0.5]", "trial_rate", "expected a table");
    let rates = r#"failure_rate = [["10s", 1, 0.5, 1, 1, 1]]"#;
    assert_refused(rates, "failure_rate[0]", "expected a table");
    let nothing = "[null, 5, null, null, null, null, null, null, null, null, null, null, null, null, null, null]";
    let error = serde_json::from_str::<CircuitBreakerConfig>(nothing).unwrap_err();
    assert!(error.to_string().contains("expected a table"), "{error}");
}
