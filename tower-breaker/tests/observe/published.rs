//! What the figures are.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::advance;
use tower_breaker::{
    Bulkhead, CircuitBreaker, Keyed, Snapshot, State, Throttle,
    breaker::Cause,
    bulkhead::{self, Partition, Priority, Waits},
    observe::{Found, Guards, Metrics},
};

use crate::{
    catalog::documented,
    scrape::{Exporter, Scrape},
};

fn breaker(name: &str) -> CircuitBreaker {
    CircuitBreaker::builder(name)
        .consecutive_failures(2)
        .open_for(Duration::from_secs(10))
        .build()
        .unwrap()
}

fn fail(breaker: &CircuitBreaker, times: u64) {
    for _ in 0..times {
        breaker.try_acquire().unwrap().failure();
    }
}

fn succeed(breaker: &CircuitBreaker, times: u64) {
    for _ in 0..times {
        breaker.try_acquire().unwrap().success();
    }
}

const ADMITTED: &str = r#"circuit_breaker_admitted_total{name="a"}"#;

/// Every figure of the breaker `a`, against its snapshot.
fn assert_says(scrape: &Scrape, snapshot: &Snapshot) {
    let value = |metric: &str, labels: &str| {
        let comma = if labels.is_empty() { "" } else { "," };
        scrape.value(&format!(
            "circuit_breaker_{metric}{{name=\"a\"{comma}{labels}}}"
        ))
    };
    let is = |it_is_so: bool| f64::from(u8::from(it_is_so));
    for state in [State::Closed, State::Open, State::HalfOpen] {
        let label = format!("state=\"{state}\"");
        assert_eq!(
            value("state", &label),
            is(snapshot.state == state),
            "{state}"
        );
    }
    let control = format!("control=\"{}\"", snapshot.control.as_str());
    assert_eq!(value("control", &control), 1.0);
    assert_eq!(value("dry_run", ""), is(snapshot.dry_run));
    let in_flight = value("calls_in_flight", "") as u64;
    assert_eq!(
        value("trials_in_flight", ""),
        f64::from(snapshot.trials_in_flight)
    );

    let count = |metric: &str, labels: &str| value(metric, labels) as u64;
    assert_eq!(count("admitted_total", ""), snapshot.admitted);
    let outcomes = [
        ("success", snapshot.succeeded),
        ("failure", snapshot.failed),
        ("ignored", snapshot.ignored),
        ("abandoned", snapshot.abandoned),
    ];
    let mut ended = 0;
    for (outcome, calls) in outcomes {
        let label = format!("outcome=\"{outcome}\"");
        assert_eq!(count("calls_total", &label), calls, "{outcome}");
        ended += calls;
    }
    assert_eq!(in_flight, snapshot.admitted - ended);
    assert_eq!(count("panicked_calls_total", ""), snapshot.panicked);
    assert_eq!(count("slow_calls_total", ""), snapshot.slow);
    assert_eq!(count("stale_calls_total", ""), snapshot.stale);
    let by = snapshot.refused_by;
    let reasons = [
        ("circuit_open", by.circuit_open),
        ("half_open_full", by.half_open_full),
        ("forced_open", by.forced_open),
        ("ramping", by.ramping),
    ];
    for (reason, calls) in reasons {
        let label = format!("reason=\"{reason}\"");
        assert_eq!(count("refused_total", &label), calls, "{reason}");
    }
    assert_eq!(count("would_refuse_total", ""), snapshot.would_refuse);
    let trials = |outcome: &str| count("trials_total", &format!("outcome=\"{outcome}\""));
    assert_eq!(trials("success"), snapshot.trials_succeeded);
    assert_eq!(trials("failure"), snapshot.trials_failed);
    assert_eq!(count("leases_expired_total", ""), snapshot.leases_expired);

    let mut transitions = 0;
    for sample in &scrape.samples {
        if sample.metric == "circuit_breaker_transitions_total" {
            transitions += sample.value as u64;
        }
    }
    // None is left out.
    assert_eq!(transitions, snapshot.transitions);
    let mut opened = 0;
    let counts = snapshot.transition_counts;
    let causes = [
        Cause::ConsecutiveFailures,
        Cause::FailureRate,
        Cause::SlowCallRate,
        Cause::TrialFailed,
        Cause::LeaseExpired,
        Cause::ForcedOpen,
    ];
    for cause in causes {
        let label = format!("cause=\"{cause}\"");
        assert_eq!(
            count("opened_total", &label),
            counts.caused_by(cause),
            "{cause}"
        );
        opened += counts.caused_by(cause);
    }
    let from = [State::Closed, State::Open, State::HalfOpen];
    let to_open = from.map(|from| counts.between(from, State::Open));
    assert_eq!(opened, to_open.iter().sum::<u64>());

    let spent = snapshot.time_in_state;
    let seconds = [
        ("CLOSED", spent.closed),
        ("OPEN", spent.open),
        ("HALF_OPEN", spent.half_open),
    ];
    for (state, spent) in seconds {
        let label = format!("state=\"{state}\"");
        assert_eq!(
            count("state_seconds_total", &label),
            spent.as_secs(),
            "{state}"
        );
    }
    let healthy = snapshot.open_while_healthy.as_secs();
    assert_eq!(count("open_while_healthy_seconds_total", ""), healthy);
}

fn assert_nothing_went_backwards(before: &Scrape, after: &Scrape) {
    // The parts of a histogram have no type of their own, and grow as well.
    let is_counter = |metric: &str| after.types.get(metric).is_none_or(|kind| kind == "counter");
    for earlier in before.samples.iter().filter(|it| is_counter(&it.metric)) {
        let mut samples = after.samples.iter();
        let later = samples
            .find(|later| (&later.metric, &later.labels) == (&earlier.metric, &earlier.labels));
        assert!(later.unwrap().value >= earlier.value, "{earlier:?}");
    }
}

/// What may happen to a circuit, a random one at a time.
fn step(breaker: &CircuitBreaker, kept: &mut Vec<tower_breaker::Permit>, what: u32) {
    match what {
        // Most of the time, calls.
        17..30 | 0..=3 => kept.extend(breaker.try_acquire().ok()),
        30.. | 4..=5 => drop(kept.pop().map(|permit| permit.failure())),
        6 => drop(kept.pop().map(|permit| permit.success())),
        7 => drop(kept.pop().map(|permit| permit.ignore())),
        8 => drop(kept.pop()),
        9 => breaker.force_open(),
        10 => breaker.reset(),
        11 => breaker.disable(),
        12 => breaker.set_dry_run(!breaker.is_dry_run()),
        13 => breaker.report_health(true),
        14 => drop(breaker.half_open()),
        15 => breaker.force_closed_for(Duration::from_secs(1)),
        _ => {
            let permit = breaker.try_acquire().ok();
            let panic = move || {
                let _permit = permit;
                // Without the hook's report.
                std::panic::resume_unwind(Box::new("a call"));
            };
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panic));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_figure_is_that_of_the_snapshot_after_every_step_and_no_counter_goes_backwards() {
    let mut reached = BTreeSet::new();
    for seed in 0..10 {
        let mut random = fastrand::Rng::with_seed(seed);
        let breaker = CircuitBreaker::builder("a")
            .consecutive_failures(2)
            .slow_call_rate(
                tower_breaker::SlowCallRate::over_calls(10)
                    .slower_than(Duration::from_millis(700))
                    .minimum_calls(5),
            )
            .half_open_trials(2)
            .trial_lease(Duration::from_secs(1))
            .open_for(Duration::from_secs(3))
            .build()
            .unwrap();
        let guards = Guards::new();
        guards.breaker(&breaker);
        let metrics = Metrics::new(guards);
        let exporter = Exporter::new();
        let mut kept = Vec::new();
        let mut before: Option<Scrape> = None;
        for _ in 0..100 {
            step(&breaker, &mut kept, random.u32(0..40));
            let longest = if random.u8(0..4) == 0 { 4_000 } else { 900 };
            advance(Duration::from_millis(random.u64(0..longest))).await;
            let scrape = exporter.scrape(&metrics);
            assert_says(&scrape, &breaker.snapshot());
            if let Some(before) = before {
                assert_nothing_went_backwards(&before, &scrape);
            }
            let moved = scrape.samples.iter().filter(|sample| sample.value > 0.0);
            reached.extend(moved.map(|sample| sample.metric.clone()));
            before = Some(scrape);
        }
    }
    // Or the steps would prove nothing about some of them.
    let breakers = documented().into_keys();
    let breakers = breakers.filter(|metric| metric.starts_with("circuit_breaker_"));
    assert_eq!(reached, breakers.collect());
}

#[tokio::test(start_paused = true)]
async fn time_in_a_state_grows_between_transitions() {
    let breaker = breaker("a");
    let guards = Guards::new();
    guards.breaker(&breaker);
    let metrics = Metrics::new(guards);
    let exporter = Exporter::new();
    let open = r#"circuit_breaker_state_seconds_total{name="a",state="OPEN"}"#;
    breaker.force_open();
    breaker.report_health(true);
    for seconds in 1..5 {
        advance(Duration::from_secs(1)).await;
        let scrape = exporter.scrape(&metrics);
        assert_eq!(scrape.value(open), f64::from(seconds));
        let healthy = r#"circuit_breaker_open_while_healthy_seconds_total{name="a"}"#;
        assert_eq!(scrape.value(healthy), f64::from(seconds));
    }
    // Parts of seconds are kept: ten times a tenth is one.
    for _ in 0..10 {
        advance(Duration::from_millis(100)).await;
        exporter.scrape(&metrics);
    }
    assert_eq!(exporter.scrape(&metrics).value(open), 5.0);
}

#[test]
fn a_reset_takes_nothing_back() {
    let breaker = breaker("a");
    let guards = Guards::new();
    guards.breaker(&breaker);
    let metrics = Metrics::new(guards);
    let exporter = Exporter::new();
    fail(&breaker, 2);
    exporter.scrape(&metrics);
    breaker.reset();
    succeed(&breaker, 1);
    let scrape = exporter.scrape(&metrics);
    assert_eq!(scrape.value(ADMITTED), 3.0);
    assert_says(&scrape, &breaker.snapshot());
}

type Named = Vec<(&'static str, CircuitBreaker)>;

/// A source whose circuits come and go.
fn changing() -> (Arc<Mutex<Named>>, Guards) {
    let there: Arc<Mutex<Named>> = Arc::default();
    let guards = Guards::new();
    let found = there.clone();
    guards.source(move |look: &mut Found| {
        for (name, breaker) in &*found.lock().unwrap() {
            look.breaker(*name, breaker.snapshot());
        }
    });
    (there, guards)
}

#[test]
fn a_guard_that_takes_the_place_of_another_goes_on_from_its_counts() {
    let (there, guards) = changing();
    let metrics = Metrics::new(guards);
    let exporter = Exporter::new();
    for round in 1..4 {
        let breaker = breaker("key");
        *there.lock().unwrap() = vec![("a", breaker.clone())];
        succeed(&breaker, 3);
        exporter.scrape(&metrics);
        succeed(&breaker, 2);
        let admitted = exporter.scrape(&metrics).value(ADMITTED);
        assert_eq!(admitted, f64::from(5 * round));
    }
}

#[test]
fn a_guard_that_has_gone_is_in_no_state_and_keeps_its_counts_and_counts_once_when_it_is_back() {
    let (there, guards) = changing();
    let metrics = Metrics::new(guards);
    let exporter = Exporter::new();
    let first = breaker("first");
    succeed(&first, 5);
    let held = first.try_acquire().unwrap();
    *there.lock().unwrap() = vec![("a", first.clone())];
    exporter.scrape(&metrics);

    there.lock().unwrap().clear();
    let scrape = exporter.scrape(&metrics);
    for gauge in [
        "state{name=\"a\",state=\"CLOSED\"}",
        "calls_in_flight{name=\"a\"}",
    ] {
        assert_eq!(scrape.value(&format!("circuit_breaker_{gauge}")), 0.0);
    }
    assert_eq!(scrape.value(ADMITTED), 6.0);

    held.success();
    *there.lock().unwrap() = vec![("a", first.clone())];
    let scrape = exporter.scrape(&metrics);
    assert_eq!(scrape.value(ADMITTED), 6.0);
    succeed(&first, 1);
    assert_eq!(exporter.scrape(&metrics).value(ADMITTED), 7.0);
    let state = r#"circuit_breaker_state{name="a",state="CLOSED"}"#;
    assert_eq!(exporter.scrape(&metrics).value(state), 1.0);
}

#[test]
fn guards_of_one_name_are_published_as_one_and_the_same_guard_once() {
    let [first, second] = [breaker("a"), breaker("a")];
    let guards = Guards::new();
    guards.breaker(&first).breaker(&second).breaker(&first);
    let metrics = Metrics::new(guards.clone());
    succeed(&first, 3);
    succeed(&second, 4);
    second.force_open();
    let exporter = Exporter::new();
    let scrape = exporter.scrape(&metrics);
    assert_eq!(scrape.value(ADMITTED), 7.0);
    for (state, circuits) in [("CLOSED", 1.0), ("OPEN", 1.0), ("HALF_OPEN", 0.0)] {
        let series = format!("circuit_breaker_state{{name=\"a\",state=\"{state}\"}}");
        assert_eq!(scrape.value(&series), circuits);
    }

    // What is added later is seen, under the name that it is given.
    guards.breaker_as("b", &breaker("a"));
    let other = r#"circuit_breaker_admitted_total{name="b"}"#;
    assert_eq!(exporter.scrape(&metrics).value(other), 0.0);
}

#[test]
fn beyond_the_cap_names_are_published_together() {
    let (there, guards) = changing();
    let metrics = Metrics::new(guards).max_names(2);
    let exporter = Exporter::new();
    let circuits = ["w", "x", "y", "z"].map(|name| (name, breaker(name)));
    *there.lock().unwrap() = circuits.to_vec();
    for (_, breaker) in &circuits {
        succeed(breaker, 3);
    }
    let admitted = |scrape: &Scrape, name: &str| {
        scrape.find(&format!(
            "circuit_breaker_admitted_total{{name=\"{name}\"}}"
        ))
    };
    let scrape = exporter.scrape(&metrics);
    let all = ["w", "x", "y", "z", "other"].map(|name| admitted(&scrape, name));
    assert_eq!(all, [Some(3.0), Some(3.0), None, None, Some(6.0)]);

    // A name is kept, whoever goes: series never change their owner.
    there.lock().unwrap().remove(0);
    for (_, breaker) in &circuits {
        succeed(breaker, 1);
    }
    let scrape = exporter.scrape(&metrics);
    let all = ["w", "x", "y", "z", "other"].map(|name| admitted(&scrape, name));
    assert_eq!(all, [Some(3.0), Some(4.0), None, None, Some(8.0)]);
}

#[test]
fn a_recorder_that_comes_late_gets_everything() {
    let breaker = breaker("a");
    let guards = Guards::new();
    guards.breaker(&breaker);
    let metrics = Metrics::new(guards);
    succeed(&breaker, 3);
    // Nobody is there.
    metrics.collect();
    let scrape = Exporter::new().scrape(&metrics);
    assert_says(&scrape, &breaker.snapshot());
    assert_eq!(scrape.value(ADMITTED), 3.0);
}

#[tokio::test(start_paused = true)]
async fn it_publishes_at_intervals_for_as_long_as_it_is_polled() {
    let looks = Arc::new(Mutex::new(0));
    let guards = Guards::new();
    let counted = looks.clone();
    guards.source(move |_| *counted.lock().unwrap() += 1);
    let running = tokio::spawn(Metrics::new(guards).run(Duration::from_secs(10)));
    tokio::time::sleep(Duration::from_millis(30_500)).await;
    assert_eq!(*looks.lock().unwrap(), 4);
    running.abort();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*looks.lock().unwrap(), 4);
}

#[test]
fn a_source_may_use_the_set_and_a_panic_in_it_breaks_nothing() {
    let breaker = breaker("a");
    let guards = Guards::new();
    let (again, may_panic) = (guards.clone(), Arc::new(Mutex::new(true)));
    let panics = may_panic.clone();
    guards.breaker(&breaker).source(move |_| {
        again.source(|_| ());
        if *panics.lock().unwrap() {
            std::panic::resume_unwind(Box::new("a source"));
        }
    });
    let metrics = Metrics::new(guards);
    let exporter = Exporter::new();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        exporter.scrape(&metrics);
    }));
    assert!(caught.is_err());
    may_panic.clear_poison();
    *may_panic.lock().unwrap() = false;
    succeed(&breaker, 2);
    assert_eq!(exporter.scrape(&metrics).value(ADMITTED), 2.0);
}

/// Every figure of the bulkhead `b`, against its snapshot.
fn assert_says_of_bulkhead(scrape: &Scrape, snapshot: &bulkhead::Snapshot) {
    let value = |metric: &str, labels: &str| {
        let comma = if labels.is_empty() { "" } else { "," };
        scrape.value(&format!("bulkhead_{metric}{{name=\"b\"{comma}{labels}}}"))
    };
    let count = |metric: &str, labels: &str| value(metric, labels) as u64;
    let reasons = |refused: &bulkhead::Refusals| {
        [
            ("bulkhead_full", refused.full),
            ("queue_full", refused.queue_full),
            ("waited_too_long", refused.waited_too_long),
            ("displaced", refused.displaced),
        ]
    };
    assert_eq!(count("calls_in_flight", ""), snapshot.in_flight as u64);
    assert_eq!(count("calls_queued", ""), snapshot.queued as u64);
    assert_eq!(count("limit", ""), snapshot.max_concurrent as u64);
    assert_eq!(count("dry_run", ""), u64::from(snapshot.dry_run));
    assert_eq!(count("admitted_total", ""), snapshot.admitted);
    for (reason, calls) in reasons(&snapshot.refused) {
        let label = format!("reason=\"{reason}\"");
        assert_eq!(count("refused_total", &label), calls, "{reason}");
    }
    let would = &snapshot.would_refuse;
    for (reason, calls) in [
        ("bulkhead_full", would.full),
        ("queue_full", would.queue_full),
    ] {
        let label = format!("reason=\"{reason}\"");
        assert_eq!(count("would_refuse_total", &label), calls, "{reason}");
    }
    assert_eq!(count("would_wait_total", ""), would.waited);
    for of in &snapshot.priorities {
        let label = format!("priority=\"{}\"", of.priority);
        assert_eq!(count("priority_admitted_total", &label), of.admitted);
        assert_eq!(count("priority_refused_total", &label), of.refused);
    }
    for part in &snapshot.partitions {
        let label = format!("partition=\"{}\"", part.name);
        let of_part = |metric: &str| count(&format!("partition_{metric}"), &label);
        assert_eq!(of_part("calls_in_flight"), part.in_flight as u64);
        assert_eq!(of_part("calls_queued"), part.queued as u64);
        assert_eq!(of_part("guaranteed"), part.guaranteed as u64);
        assert_eq!(of_part("limit"), part.at_most as u64);
        assert_eq!(of_part("admitted_total"), part.admitted);
        for (reason, calls) in reasons(&part.refused) {
            let label = format!("{label},reason=\"{reason}\"");
            assert_eq!(count("partition_refused_total", &label), calls, "{reason}");
        }
    }

    let waits = &snapshot.waits;
    assert_eq!(count("abandoned_waits_total", ""), waits.abandoned);
    for (bound, up_to) in Waits::BOUNDS.iter().zip(waits.histogram) {
        let label = format!("le=\"{}\"", bound.as_secs_f64());
        assert_eq!(count("wait_seconds_bucket", &label), up_to, "{bound:?}");
    }
    assert_eq!(count("wait_seconds_bucket", "le=\"+Inf\""), waits.granted);
    assert_eq!(count("wait_seconds_count", ""), waits.granted);
    let off = value("wait_seconds_sum", "") - waits.total.as_secs_f64();
    assert!(off.abs() < 1e-4, "{off}");
}

#[tokio::test(start_paused = true)]
async fn each_figure_of_a_bulkhead_is_that_of_its_snapshot_after_every_step() {
    let mut reached = BTreeSet::new();
    for seed in 0..10 {
        let mut random = fastrand::Rng::with_seed(seed);
        let bulkhead = Bulkhead::builder("b")
            .max_concurrent(3)
            .max_queue(2)
            .max_wait(Duration::from_secs(12))
            .partition(Partition::new("p").guaranteed(0.4))
            .build()
            .unwrap();
        let part = bulkhead.partition("p").unwrap();
        let handles = [
            bulkhead.clone(),
            bulkhead.with_priority(Priority::Low),
            bulkhead.with_priority(Priority::High),
            part.clone(),
        ];
        let guards = Guards::new();
        guards.bulkhead(&bulkhead);
        let metrics = Metrics::new(guards);
        let exporter = Exporter::new();
        let (mut permits, mut waiting) = (Vec::new(), Vec::new());
        let mut before: Option<Scrape> = None;
        for _ in 0..150 {
            let handle = &handles[random.usize(0..handles.len())];
            match random.u8(0..13) {
                0..=3 => permits.extend(handle.try_acquire().ok()),
                4..=8 => waiting.push(tokio_test::task::spawn(handle.acquire())),
                9 => waiting.truncate(1),
                10 if random.u8(0..4) == 0 => bulkhead.set_dry_run(!bulkhead.is_dry_run()),
                11 if random.u8(0..4) == 0 => bulkhead.resize(random.usize(1..5)).unwrap(),
                _ => drop((!permits.is_empty()).then(|| permits.swap_remove(0))),
            }
            let longest = [3, 30, 300, 3_000, 15_000][random.usize(0..5)];
            advance(Duration::from_millis(random.u64(0..longest))).await;
            waiting.retain_mut(|waiter| match waiter.poll() {
                std::task::Poll::Ready(ended) => {
                    permits.extend(ended.ok());
                    false
                }
                std::task::Poll::Pending => true,
            });
            let scrape = exporter.scrape(&metrics);
            assert_says_of_bulkhead(&scrape, &bulkhead.snapshot());
            if let Some(before) = before {
                assert_nothing_went_backwards(&before, &scrape);
            }
            let moved = scrape.samples.iter().filter(|sample| sample.value > 0.0);
            reached.extend(moved.map(|sample| sample.metric.clone()));
            before = Some(scrape);
        }
    }
    for metric in documented().into_keys() {
        let metric = match &*metric {
            "bulkhead_wait_seconds" => "bulkhead_wait_seconds_sum",
            metric => metric,
        };
        assert!(
            !metric.starts_with("bulkhead_") || reached.contains(metric),
            "the steps prove nothing about {metric}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_has_as_many_names_as_labels_and_what_was_thrown_out_is_not_forgotten() {
    let hosts = Keyed::breakers(|host: &String| {
        CircuitBreaker::builder(host.as_str()).consecutive_failures(2)
    })
    .overflow(CircuitBreaker::builder("overflow").consecutive_failures(2))
    .capacity(4)
    .labels(2)
    .build()
    .unwrap();
    let guards = Guards::new();
    guards.keyed_breakers(&hosts);
    let exporter = Exporter::new();
    let metrics = Metrics::new(guards);
    let admitted = |scrape: &Scrape, name: &str| {
        scrape.find(&format!(
            "circuit_breaker_admitted_total{{name=\"{name}\"}}"
        ))
    };

    for host in ["a", "b", "c", "d"] {
        hosts.try_acquire(host).unwrap().success();
    }
    let scrape = exporter.scrape(&metrics);
    let said = ["a", "b", "c", "d", "other", "overflow"].map(|name| admitted(&scrape, name));
    assert_eq!(
        said,
        [Some(1.0), Some(1.0), None, None, Some(2.0), Some(0.0)]
    );

    // The first goes, which has been idle longest; its counter stays, and goes on when it comes back.
    for host in ["b", "c", "d", "e"] {
        hosts.try_acquire(host).unwrap().success();
    }
    assert!(hosts.get("a").is_none());
    let scrape = exporter.scrape(&metrics);
    assert_eq!(admitted(&scrape, "a"), Some(1.0));
    assert_eq!(admitted(&scrape, "other"), Some(5.0));
    hosts.try_acquire("a").unwrap().success();
    let scrape = exporter.scrape(&metrics);
    assert_eq!(admitted(&scrape, "a"), Some(2.0));
}

#[test]
fn a_registry_of_bulkheads_has_as_many_names_as_labels() {
    let tenants =
        Keyed::bulkheads(|tenant: &String| Bulkhead::builder(tenant.as_str()).max_concurrent(2))
            .overflow(Bulkhead::builder("overflow").max_concurrent(5))
            .capacity(4)
            .labels(2)
            .build()
            .unwrap();
    let guards = Guards::new();
    guards.keyed_bulkheads(&tenants);
    let exporter = Exporter::new();
    let metrics = Metrics::new(guards);
    let published = |metric: &str| {
        let scrape = exporter.scrape(&metrics);
        ["a", "b", "c", "d", "other", "overflow"]
            .map(|name| scrape.find(&format!("bulkhead_{metric}{{name=\"{name}\"}}")))
    };
    let mut held = Vec::new();
    for (tenant, calls) in [("a", 1), ("b", 2), ("c", 1), ("d", 2)] {
        let tenant = tenants.get_or_make(tenant);
        for _ in 0..calls {
            held.push(tenant.try_acquire().unwrap());
        }
    }
    let said = [Some(1.0), Some(2.0), None, None, Some(3.0), Some(0.0)];
    assert_eq!(published("calls_in_flight"), said);
    assert_eq!(published("admitted_total"), said);
    let limits = [Some(2.0), Some(2.0), None, None, Some(4.0), Some(5.0)];
    assert_eq!(published("limit"), limits);

    // Who comes when all are busy is in the overflow guard.
    held.push(tenants.get_or_make("e").try_acquire().unwrap());
    tenants.get_or_make("b").try_acquire().unwrap_err();
    tenants.get_or_make("d").try_acquire().unwrap_err();
    let said = [Some(1.0), Some(2.0), None, None, Some(3.0), Some(1.0)];
    assert_eq!(published("calls_in_flight"), said);
    let scrape = exporter.scrape(&metrics);
    for (name, refused) in [("a", 0.0), ("b", 1.0), ("other", 1.0), ("overflow", 0.0)] {
        let series = format!("bulkhead_refused_total{{name=\"{name}\",reason=\"bulkhead_full\"}}");
        assert_eq!(scrape.value(&series), refused, "{name}");
    }

    // What was thrown out has no calls, and its counters stay.
    held.clear();
    drop(tenants.get_or_make("f").try_acquire().unwrap());
    let admitted = published("admitted_total");
    assert_eq!((admitted[0], admitted[1]), (Some(1.0), Some(2.0)));
    assert_eq!(admitted[4], Some(4.0));
    assert_eq!(published("calls_in_flight")[4], Some(0.0));
}

#[test]
fn a_throttle_says_what_its_snapshot_does() {
    let throttle = Throttle::builder("a").minimum_requests(0).k(1.0).seed(1);
    let throttle = throttle.build().unwrap();
    let guards = Guards::new();
    guards.throttle(&throttle);
    let exporter = Exporter::new();
    let metrics = Metrics::new(guards);
    let assert_says = || {
        let scrape = exporter.scrape(&metrics);
        let value = |series: &str| scrape.value(&format!("throttle_{series}")) as u64;
        let snapshot = throttle.snapshot();
        for (outcome, count) in [
            ("success", snapshot.succeeded),
            ("failure", snapshot.failed),
            ("ignored", snapshot.ignored),
            ("abandoned", snapshot.abandoned),
        ] {
            let series = format!("calls_total{{name=\"a\",outcome=\"{outcome}\"}}");
            assert_eq!(value(&series), count, "{outcome}");
        }
        for (metric, count) in [
            ("calls_in_flight", snapshot.in_flight()),
            ("dry_run", u64::from(snapshot.dry_run)),
            ("window_requests", snapshot.requests.into()),
            ("window_accepts", snapshot.accepts.into()),
            ("admitted_total", snapshot.admitted),
            ("refused_total", snapshot.refused),
            ("would_refuse_total", snapshot.would_refuse),
        ] {
            assert_eq!(value(&format!("{metric}{{name=\"a\"}}")), count, "{metric}");
        }
        snapshot
    };
    assert_says();
    throttle.try_acquire().unwrap().ignore();
    drop(throttle.try_acquire().unwrap());
    throttle.try_acquire().unwrap().success();
    for dry_run in [false, true] {
        throttle.set_dry_run(dry_run);
        for _ in 0..50 {
            if let Ok(permit) = throttle.try_acquire() {
                permit.failure();
            }
        }
        assert_says();
    }
    let _permit = throttle.try_acquire().unwrap();
    let snapshot = assert_says();
    assert!(snapshot.refused > 0 && snapshot.would_refuse > 0);
    assert_eq!(snapshot.in_flight(), 1);
}
