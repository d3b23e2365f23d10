//! Guards from configuration, and how they are shown.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use axum::Router;
use service_kit::config::{Section, Sources, load};
use service_kit::resilience::Policy;
use service_kit::runtime::launch;
use service_kit::{Context, ServiceInfo};
use std::ffi::OsString;
use std::time::Duration;
use support::get;
use tokio::task::spawn_blocking;
use tower_breaker::{Recovery, State};

fn read(text: &str) -> Result<Policy, Vec<String>> {
    let sources = Sources {
        built_in: text,
        ..Sources::default()
    };
    load(&sources, |root| {
        Policy::read(&mut root.section_or_empty("product"))
    })
    .map(|loaded| loaded.value)
    .map_err(|errors| errors.errors().iter().map(ToString::to_string).collect())
}

#[test]
fn nothing_configured_is_no_guard() {
    let policy = read("").expect("right");
    assert!(policy.timeout.is_none() && policy.bulkhead.is_none() && policy.breaker.is_none());
}

#[test]
fn all_of_it() {
    let text = r#"
        [product]
        timeout = "500ms"
        [product.bulkhead]
        max_concurrent = 16
        max_queue = 4
        max_wait = "100ms"
        [product.breaker]
        consecutive_failures = 2
        failure_rate = { window = 50, threshold = 0.4, minimum_calls = 10 }
        open_for = "60s"
        half_open_trials = 3
        success_threshold = 2
    "#;
    let policy = read(text).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(policy.timeout, Some(Duration::from_millis(500)));
    let bulkhead = policy.bulkhead.expect("configured").snapshot();
    assert_eq!(
        (&*bulkhead.name, bulkhead.max_concurrent, bulkhead.max_queue),
        ("product", 16, 4)
    );
    assert_eq!(bulkhead.max_wait, Some(Duration::from_millis(100)));
    let breaker = policy.breaker.expect("configured");
    assert_eq!(breaker.name(), "product");
    breaker.try_acquire().expect("closed").failure();
    assert_eq!(breaker.state(), State::Closed);
    breaker.try_acquire().expect("closed").failure();
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().windows.len(), 1);
}

#[test]
fn the_builders_limits_are_configuration_errors() {
    let text = r#"
        [product]
        timeout = "0s"
        [product.bulkhead]
        max_queue = 9000000
        [product.breaker]
        open_for = "0s"
        half_open_trials = 0
        failure_rate = { window = 5, threshold = 0, minimum_calls = 6 }
    "#;
    let errors = read(text).expect_err("all wrong");
    let expected = [
        "key `product.timeout`: found \"0s\", allowed: a duration from 1ms",
        "key `product.bulkhead.max_concurrent` is missing",
        "key `product.bulkhead.max_queue`: found 9000000",
        "key `product.breaker.open_for`: found \"0s\", allowed: 1ms to 30 days",
        "key `product.breaker.half_open_trials`: found 0, allowed: 1 to 255",
        "key `product.breaker.failure_rate.threshold`: found 0, allowed: more than 0, up to 1",
        "key `product.breaker.failure_rate.minimum_calls`: found 6, allowed: 1 to the size of the window, 5",
    ];
    for expected in expected {
        assert!(
            errors.iter().any(|error| error.contains(expected)),
            "{expected} is not in {errors:#?}"
        );
    }
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
}

#[test]
fn a_breaker_needs_a_rule() {
    let errors = read("[product.breaker]\nopen_for = \"1s\"").expect_err("no rule");
    let expected = "built-in configuration: key `product.breaker.consecutive_failures` is missing, allowed: at least one of \
                    `consecutive_failures` and `failure_rate`";
    assert_eq!(errors, [expected]);
}

#[test]
fn a_service_may_add_to_the_breaker() {
    let sources = Sources {
        built_in: "[r.breaker]\nconsecutive_failures = 1\nrecovery = \"probed\"",
        ..Sources::default()
    };
    let policy = load(&sources, |root| {
        Policy::read_with(
            &mut root.section_or_empty("r"),
            "named",
            |section, builder| match section
                .choice("recovery", "lazy", &["lazy", "probed"])
                .as_str()
            {
                "probed" => builder.recovery(Recovery::Probed),
                _ => builder,
            },
        )
    });
    let breaker = policy.expect("right").value.breaker.expect("configured");
    assert_eq!(breaker.name(), "named");
}

const INFO: ServiceInfo = ServiceInfo {
    name: "guard-test",
    version: "0.0.0",
    about: "",
    env_prefix: "GUARD_TEST",
    env_aliases: &[],
    default_config: "listen = \"127.0.0.1:0\"\nops.listen = \"127.0.0.1:0\"\n[guarded]\nbulkhead.max_concurrent = 3\n\
                     [guarded.breaker]\nconsecutive_failures = 1\nopen_for = \"1h\"\n",
    after_help: "",
};

#[tokio::test(flavor = "multi_thread")]
async fn registered_guards_are_shown_on_the_ops_listener() {
    let parse = |root: &mut Section<'_>| Policy::read(&mut root.section_or_empty("guarded"));
    let start = async |policy: Policy, context: Context| {
        context.register(&policy);
        let breaker = policy.breaker.ok_or("no breaker")?;
        breaker.try_acquire()?.failure();
        let _ = breaker.try_acquire();
        Ok(Router::new())
    };
    let running = launch(&INFO, [OsString::from("guard-test")], parse, start)
        .await
        .expect("starts");
    let ops = running.ops;
    let (report, metrics) =
        spawn_blocking(move || (get(ops, "/breakers").json(), get(ops, "/metrics").text()))
            .await
            .expect("does not panic");

    let breaker = &report["breakers"][0];
    assert_eq!(
        (breaker["name"].as_str(), breaker["state"].as_str()),
        (Some("guarded"), Some("OPEN"))
    );
    assert_eq!(
        (breaker["refused"].as_u64(), breaker["failed"].as_u64()),
        (Some(1), Some(1))
    );
    assert!(
        breaker["open_remaining_ms"]
            .as_u64()
            .is_some_and(|left| left > 3_500_000),
        "{breaker}"
    );
    assert_eq!(
        (breaker["held"].as_bool(), breaker["control"].as_str()),
        (Some(false), Some("automatic"))
    );
    assert!(breaker["window"].is_null(), "{breaker}");
    assert_eq!(breaker["windows"].as_array().map(Vec::len), Some(0));
    let transition = &breaker["transitions"][0];
    assert_eq!(
        (transition["from"].as_str(), transition["to"].as_str()),
        (Some("CLOSED"), Some("OPEN"))
    );
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_millis();
    let at = transition["at_unix_ms"]
        .as_u64()
        .map(u128::from)
        .expect("a time");
    assert!(at <= now + 1 && now - at.min(now) < 600_000, "{at} {now}");
    assert_eq!(report["bulkheads"][0]["max_concurrent"], 3);

    for line in [
        "circuit_breaker_state{name=\"guarded\",state=\"OPEN\"} 1",
        "circuit_breaker_state{name=\"guarded\",state=\"CLOSED\"} 0",
        "circuit_breaker_transitions_total{name=\"guarded\",from=\"CLOSED\",to=\"OPEN\"} 1",
        "circuit_breaker_calls_total{name=\"guarded\",outcome=\"failure\"} 1",
        "circuit_breaker_refused_total{name=\"guarded\",reason=\"circuit_open\"} 1",
        "circuit_breaker_slow_calls_total{name=\"guarded\"} 0",
        "circuit_breaker_would_refuse_total{name=\"guarded\"} 0",
        "circuit_breaker_leases_expired_total{name=\"guarded\"} 0",
        "bulkhead_limit{name=\"guarded\"} 3",
        "bulkhead_refused_total{name=\"guarded\",reason=\"displaced\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    running.stop().await;
}
