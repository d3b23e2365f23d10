//! A small made-up experiment, to test the report's forms with.

use std::collections::BTreeMap;

use crate::report::model::*;

pub fn experiment() -> Experiment {
    let transition = |from: &str, to: &str, at_s| Transition {
        from: from.into(),
        to: to.into(),
        at_unix_ms: 0.0,
        at_s,
        cause: Some("5 failures <in a row>".into()),
    };
    let points = |slow: bool| {
        (0..10)
            .map(|t| Point {
                t_s: f64::from(t),
                median_ms: (t != 5).then_some(if slow { 2000.0 } else { 4.0 }),
                p95_ms: (t != 5).then_some(if slow { 4900.0 } else { 9.0 }),
                answered: 5,
                failed: if slow { 4 } else { 0 },
                degraded: 0,
            })
            .collect()
    };
    let row = |variant, endpoint, failures| Row {
        variant,
        endpoint,
        phase: "failure",
        requests: 50,
        failures,
        failed_share: Some(failures as f64 / 50.0),
        degraded: 0,
        median_ms: Some(2000.0),
        p95_ms: Some(4900.0),
        p99_ms: Some(5000.0),
        mean_ms: Some(2100.0),
        min_ms: Some(3.0),
        max_ms: Some(5001.0),
        mean_bytes: Some(312.5),
        requests_per_second: 5.0,
        failures_per_second: 4.0,
        failure_reasons: BTreeMap::from([("503 <Service> & \"more\"".to_owned(), failures)]),
    };
    Experiment {
        name: "outage",
        title: "A shop <that> fails & \"recovers\"",
        question: "Can people still buy?".into(),
        wall_seconds: 12.0,
        settings: vec![Setting {
            name: "users",
            value: "50".into(),
        }],
        processes: vec![],
        variants: vec![
            Variant {
                name: "vulnerable",
                label: "unprotected",
                protected: false,
            },
            Variant {
                name: "fixed",
                label: "protected",
                protected: true,
            },
        ],
        endpoints: vec![Endpoint {
            name: "cart/add",
            label: "add to cart",
            counted: true,
        }],
        phases: vec![
            Phase {
                name: "healthy",
                label: "healthy",
                start_s: 0.0,
                end_s: 3.0,
                fault: false,
            },
            Phase {
                name: "failure",
                label: "failure",
                start_s: 3.0,
                end_s: 9.5,
                fault: true,
            },
        ],
        figures: vec![
            row("vulnerable", "cart/add", 47),
            row("fixed", "cart/add", 0),
            row("fixed", ALL, 0),
        ],
        claims: vec![
            Claim {
                text: "nothing failed".into(),
                holds: true,
                measured: "0 of 50".into(),
            },
            Claim {
                text: "everything is <fast>".into(),
                holds: false,
                measured: "4 ms & more".into(),
            },
        ],
        published: vec![Comparison {
            measure: "add to cart, failed",
            unprotected: Beside {
                published: Some("65 % (944/1449)"),
                ours: "94 % (47/50)".into(),
            },
            protected: Beside {
                published: None,
                ours: "0 % (0/50)".into(),
            },
        }],
        headline: vec![Headline {
            measure: "failed adds",
            unprotected: "94 %".into(),
            protected: "0 %".into(),
        }],
        timeline: Timeline {
            bucket_seconds: 1.0,
            series: vec![
                Series {
                    variant: "vulnerable",
                    points: points(true),
                },
                Series {
                    variant: "fixed",
                    points: points(false),
                },
            ],
        },
        breakers: vec![Breaker {
            name: "product".into(),
            process: "outage-cart-fixed".into(),
            variant: "fixed",
            refused: 40,
            trials_succeeded: 2,
            trials_failed: 0,
            transitions: vec![
                transition("CLOSED", "OPEN", 3.4),
                transition("OPEN", "HALF_OPEN", 8.0),
                transition("HALF_OPEN", "CLOSED", 8.5),
            ],
            observed: vec![ObservedState {
                at_s: 1.0,
                state: "CLOSED".into(),
            }],
        }],
        notes: vec!["A note & more".into()],
    }
}

pub fn report() -> Report {
    Report {
        schema: SCHEMA,
        mode: "quick",
        seed: 1,
        started_at: "2026-11-21T08:00:00Z".into(),
        wall_seconds: 12.0,
        machine: Machine {
            os: "linux",
            arch: "x86_64",
            cores: 2,
            cpu: Some("A <CPU>".into()),
        },
        versions: BTreeMap::from([("lab", "0.1.0".to_owned())]),
        unfinished: vec![],
        experiments: vec![experiment()],
    }
}
