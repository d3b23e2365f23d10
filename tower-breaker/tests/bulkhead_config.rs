//! A bulkhead's options from a configuration file: what is read, and what is refused in which words.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tower_breaker::{
    Bulkhead,
    bulkhead::{
        BulkheadBuilder, BulkheadConfig, Partition, Priority,
        limit::{Aimd, Gradient2, Vegas, Window},
    },
};

fn read(toml: &str) -> BulkheadConfig {
    toml::from_str(toml).unwrap()
}

fn refused(toml: &str) -> String {
    toml::from_str::<BulkheadConfig>(toml)
        .unwrap_err()
        .to_string()
}

// Builders show all their options, so two that look the same are the same; but of an algorithm only the limits.
fn assert_same(toml: &str, by_hand: impl FnOnce(BulkheadBuilder) -> BulkheadBuilder) -> Bulkhead {
    let by_hand = by_hand(Bulkhead::builder("stock"));
    let read = read(toml).builder("stock");
    assert_eq!(format!("{read:?}"), format!("{by_hand:?}"));
    read.build().unwrap()
}

fn problems(toml: &str) -> Vec<String> {
    let error = read(toml).builder("stock").build().unwrap_err();
    let options = error.problems().iter().map(|problem| problem.option());
    options.map(str::to_owned).collect()
}

const EVERYTHING: &str = r#"
    max_queue = 100
    max_wait = "1s 250ms"
    dry_run = true
    limit_window = { at_least = "250ms", minimum_calls = 50 }
    priority_share = { low = 0.5, normal = 0.8, high = 1.0 }

    [adaptive.gradient2]
    initial = 30
    min = 5
    max = 500
    smoothing = 0.3
    tolerance = 1.6
    queue = 8
    long_window = 300
    warmup = 20
    backoff = 0.8
    probe_every = 900

    [[partition]]
    name = "live"
    guaranteed = 0.7

    [[partition]]
    name = "batch"
    at_most = 0.3
"#;

#[test]
fn every_option_of_the_builder_can_be_said() {
    let bulkhead = assert_same(EVERYTHING, |builder| {
        let algorithm = Gradient2::builder().initial(30).min(5).max(500);
        builder
            .max_queue(100)
            .max_wait(Duration::from_millis(1_250))
            .dry_run(true)
            .adaptive(algorithm.build().unwrap())
            .limit_window(
                Window::new()
                    .at_least(Duration::from_millis(250))
                    .minimum_calls(50),
            )
            .partition(Partition::new("live").guaranteed(0.7))
            .partition(Partition::new("batch").at_most(0.3))
            .priority_share(Priority::Low, 0.5)
            .priority_share(Priority::Normal, 0.8)
            .priority_share(Priority::High, 1.0)
    });
    assert_eq!(bulkhead.name(), "stock");
    assert_same("max_concurrent = 7", |builder| builder.max_concurrent(7));
    assert_same(
        "adaptive = { aimd = { initial = 3, min = 2, max = 9, backoff = 0.5, timeout = '2s' } }",
        |builder| {
            let algorithm = Aimd::builder().initial(3).min(2).max(9);
            builder.adaptive(algorithm.build().unwrap())
        },
    );
    assert_same(
        "adaptive = { vegas = { initial = 3, min = 2, max = 9, alpha = 2.0, beta = 5.0, \
         threshold = 1.0, smoothing = 0.5, backoff = 0.7, probe_every = 50 } }",
        |builder| {
            let algorithm = Vegas::builder().initial(3).min(2).max(9);
            builder.adaptive(algorithm.build().unwrap())
        },
    );
    assert_same("adaptive = { aimd = {} }", |builder| {
        builder.adaptive(Aimd::builder().build().unwrap())
    });
}

#[test]
fn a_partition_alone_needs_no_list() {
    let bulkhead = assert_same(
        "max_concurrent = 10\npartition = { name = 'live', guaranteed = 0.5 }",
        |builder| {
            builder
                .max_concurrent(10)
                .partition(Partition::new("live").guaranteed(0.5))
        },
    );
    assert!(bulkhead.partition("live").is_some());
}

#[test]
fn what_is_written_is_read_again_as_it_was() {
    for toml in ["", EVERYTHING, "max_concurrent = 7", "partition = []"] {
        let config = read(toml);
        let toml = toml::to_string(&config).unwrap();
        assert_eq!(read(&toml), config, "{toml}");
        let json = serde_json::to_string(&config).unwrap();
        let again: BulkheadConfig = serde_json::from_str(&json).unwrap();
        assert_eq!(again, config, "{json}");
    }
}

#[test]
fn all_keys_that_nobody_knows_are_named_at_once() {
    let error = refused(
        "max_concurent = 5\nmax_wait = '1s'\npartition = [{ name = 'a' }, { name = 'b', share = 1 }]\n\
         adaptive = { aimd = { initial = 1, alpha = 2 } }\n",
    );
    for expected in [
        "`max_concurent`: unknown field `max_concurent`, expected one of `max_concurrent`, ",
        "`partition[1].share`: unknown field `share`, expected one of `name`, `guaranteed`, `at_most`",
        "`adaptive.aimd.alpha`: unknown field `alpha`, expected one of `initial`, `min`, `max`, ",
    ] {
        assert!(error.contains(expected), "{error}\nlacks {expected}");
    }
    // With a value that is wrong besides.
    let error = refused("max_que = 1\nmax_wait = 5\n");
    assert!(error.contains("`max_que`: unknown field"), "{error}");
    assert!(error.contains("`max_wait`: "), "{error}");
    assert!(error.contains("a bare number has no unit"), "{error}");
    // It is known for good: the next one begins anew.
    assert!(!refused("max_wait = 5").contains("max_que"));
}

#[test]
fn values_of_the_wrong_kind_are_refused_where_they_are() {
    for (toml, path, reason) in [
        ("max_concurrent = 'ten'", "max_concurrent", "invalid type"),
        ("max_concurrent = -1", "max_concurrent", "invalid value"),
        ("max_wait = 'soon'", "max_wait", "expected a duration"),
        ("adaptive = 'aimd'", "adaptive", "expected a table"),
        ("adaptive = {}", "adaptive", "no algorithm"),
        (
            "adaptive = { aimd = {}, vegas = {} }",
            "adaptive",
            "more than one algorithm",
        ),
        (
            "adaptive = { aimd = { timeout = 5 } }",
            "adaptive.aimd.timeout",
            "a bare number has no unit",
        ),
        (
            "partition = { guaranteed = 0.5 }",
            "partition",
            "missing field `name`",
        ),
        ("priority_share = 0.5", "priority_share", "expected a table"),
        ("dry_run = 1", "dry_run", "invalid type"),
    ] {
        let error = refused(toml);
        assert!(error.starts_with(&format!("`{path}`: ")), "{error}");
        assert!(error.contains(reason), "{error}\nis not: {reason}");
    }
}

#[test]
fn values_out_of_range_are_named_all_at_once_when_it_is_built() {
    assert_eq!(problems(""), ["max_concurrent"]);
    assert_eq!(
        problems(
            "max_queue = 20000\nadaptive = { aimd = { initial = 0, backoff = 2.0 } }\n\
             partition = { name = '' }\npriority_share = { low = 0.0, high = 2.0 }\n"
        ),
        [
            "adaptive.aimd.initial",
            "adaptive.aimd.backoff",
            "max_queue",
            "partition[0].name",
            "priority_share.low",
            "priority_share.high",
        ]
    );
    assert_eq!(
        problems("max_concurrent = 5\nadaptive = { vegas = { max = 0 } }"),
        [
            "adaptive.vegas.max",
            "adaptive.vegas.min",
            "adaptive.vegas.initial",
            "max_concurrent",
        ]
    );
    // What is said by hand afterwards counts.
    let by_hand = read("adaptive = { vegas = { max = 0 } }").builder("stock");
    let by_hand = by_hand.adaptive(Aimd::builder().build().unwrap());
    assert_eq!(by_hand.build().unwrap().snapshot().max_concurrent, 20);
}
