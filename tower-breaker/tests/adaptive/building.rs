use std::{ops::RangeInclusive, time::Duration};

use tower_breaker::{
    BuildError, Bulkhead,
    breaker::TokioClock,
    bulkhead::limit::{Aimd, Algorithm, Gradient2, Sample, Vegas, Window},
};

fn options(err: &BuildError) -> Vec<&str> {
    err.problems()
        .iter()
        .map(|problem| problem.option())
        .collect()
}

#[test]
fn each_algorithm_names_all_that_is_wrong_at_once() {
    let err = Aimd::builder()
        .min(0)
        .initial(9)
        .max(5)
        .backoff(1.0)
        .timeout(Duration::ZERO)
        .build()
        .unwrap_err();
    assert_eq!(options(&err), ["min", "initial", "backoff", "timeout"]);
    assert!(
        err.to_string()
            .starts_with("limit `aimd` cannot be built: "),
        "{err}"
    );

    let err = Gradient2::builder()
        .max(250_001)
        .smoothing(0.0)
        .tolerance(f64::NAN)
        .queue(0)
        .long_window(0)
        .warmup(0)
        .backoff(-1.0)
        .probe_every(9)
        .build()
        .unwrap_err();
    let expected = [
        "max",
        "smoothing",
        "tolerance",
        "queue",
        "long_window",
        "warmup",
        "backoff",
        "probe_every",
    ];
    assert_eq!(options(&err), expected);

    let err = Vegas::builder()
        .min(30)
        .alpha(7.0)
        .threshold(8.0)
        .smoothing(2.0)
        .backoff(0.0)
        .probe_every(0)
        .build()
        .unwrap_err();
    let expected = [
        "initial",
        "alpha",
        "beta",
        "threshold",
        "smoothing",
        "backoff",
        "probe_every",
    ];
    assert_eq!(options(&err), expected);
}

struct Wrong(usize, RangeInclusive<usize>);

impl Algorithm for Wrong {
    fn initial(&self) -> usize {
        self.0
    }

    fn bounds(&self) -> RangeInclusive<usize> {
        self.1.clone()
    }

    fn update(&mut self, _: &Sample) -> usize {
        self.0
    }
}

#[test]
fn a_bulkhead_is_not_built_on_limits_that_it_cannot_have() {
    for (initial, bounds) in [
        (1, 0..=10),
        (1, 1..=250_001),
        (11, 1..=10),
        (4, 5..=10),
        // Empty, and to be refused all the same.
        #[allow(clippy::reversed_empty_ranges)]
        (7, 10..=5),
    ] {
        let bulkhead = Bulkhead::builder("stock").adaptive(Wrong(initial, bounds.clone()));
        let err = bulkhead.build().unwrap_err();
        assert_eq!(options(&err), ["adaptive"], "{initial} {bounds:?}");
    }
}

#[test]
fn options_that_do_not_go_together_are_named() {
    let aimd = || Aimd::builder().build().unwrap();
    let window = Window::new().at_least(Duration::ZERO).minimum_calls(0);
    let err = Bulkhead::builder("stock")
        .max_concurrent(5)
        .adaptive(aimd())
        .limit_window(window)
        .build()
        .unwrap_err();
    let expected = [
        "max_concurrent",
        "limit_window.at_least",
        "limit_window.minimum_calls",
    ];
    assert_eq!(options(&err), expected);

    let err = Bulkhead::builder("stock")
        .max_concurrent(5)
        .limit_window(Window::new())
        .clock(TokioClock)
        .build()
        .unwrap_err();
    assert_eq!(options(&err), ["limit_window", "clock"]);
    assert_eq!(
        options(&Bulkhead::builder("stock").build().unwrap_err()),
        ["max_concurrent"]
    );
}

#[test]
fn an_adaptive_limit_is_not_set_by_hand() {
    let bulkhead = Bulkhead::builder("stock")
        .adaptive(Aimd::builder().initial(7).build().unwrap())
        .build()
        .unwrap();
    assert_eq!(
        options(&bulkhead.resize(9).unwrap_err()),
        ["max_concurrent"]
    );
    assert_eq!(bulkhead.snapshot().max_concurrent, 7);
}
