//! The log events.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::advance;
use tower_breaker::{
    Bulkhead, CircuitBreaker, Throttle,
    observe::{self, Guards, RefusalLog},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// Keeps the events of the thread.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Kind>>>);

/// Level, and fields as text.
type Kind = (tracing::Level, BTreeMap<&'static str, String>);

struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }
}

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        assert_eq!(event.metadata().target(), "tower_breaker");
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        let kept = (*event.metadata().level(), fields.0);
        self.0.lock().unwrap().push(kept);
    }
}

impl Kept {
    fn begin() -> (Self, DefaultGuard) {
        let kept = Self::default();
        let guard = tracing_subscriber::registry()
            .with(kept.clone())
            .set_default();
        (kept, guard)
    }

    fn take(&self) -> Vec<Kind> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn breaker(name: &str) -> CircuitBreaker {
    CircuitBreaker::builder(name)
        .consecutive_failures(2)
        .open_for(Duration::from_secs(10))
        .listener(observe::log_transition)
        .build()
        .unwrap()
}

fn open(breaker: &CircuitBreaker) {
    for _ in 0..2 {
        breaker.try_acquire().unwrap().failure();
    }
}

fn fields<const N: usize>(fields: [(&'static str, &str); N]) -> BTreeMap<&'static str, String> {
    fields.map(|(key, value)| (key, value.to_owned())).into()
}

#[tokio::test(start_paused = true)]
async fn a_transition_is_told_at_once_with_why_and_what_was_before() {
    let (kept, _guard) = Kept::begin();
    let breaker = breaker("inventory");
    advance(Duration::from_millis(1500)).await;
    open(&breaker);
    let opened = fields([
        ("message", "the circuit opened"),
        ("name", "inventory"),
        ("from", "CLOSED"),
        ("to", "OPEN"),
        ("cause", "consecutive_failures"),
        ("generation", "1"),
        ("lasted_seconds", "1.5"),
        ("admitted", "2"),
        ("failed", "2"),
        ("slow", "0"),
        ("refused", "0"),
        ("would_refuse", "0"),
    ]);
    assert_eq!(kept.take(), [(tracing::Level::WARN, opened)]);

    for _ in 0..7 {
        breaker.try_acquire().unwrap_err();
    }
    assert_eq!(kept.take(), [], "no event for a refusal");
    advance(Duration::from_secs(10)).await;
    breaker.try_acquire().unwrap().success();
    let told: Vec<_> = kept
        .take()
        .into_iter()
        .map(|(level, mut fields)| {
            let take = |field| fields.remove(field).unwrap();
            (
                level,
                ["to", "cause", "lasted_seconds", "refused"].map(take),
            )
        })
        .collect();
    let info = tracing::Level::INFO;
    assert_eq!(
        told,
        [
            (
                info,
                ["HALF_OPEN", "wait_elapsed", "10.0", "7"].map(String::from)
            ),
            (
                info,
                ["CLOSED", "trials_succeeded", "0.0", "0"].map(String::from)
            ),
        ]
    );
}

#[test]
fn guards_that_share_a_name_are_told_of_together() {
    let (kept, _guard) = Kept::begin();
    let guards = Guards::new();
    let log = RefusalLog::new(guards.clone());
    for _ in 0..1_000 {
        let circuit = CircuitBreaker::builder("other").consecutive_failures(1);
        let circuit = circuit.build().unwrap();
        circuit.force_open();
        circuit.try_acquire().unwrap_err();
        guards.breaker(&circuit);
        let bulkhead = Bulkhead::builder("other").max_concurrent(1);
        let bulkhead = bulkhead.build().unwrap();
        let _held = bulkhead.try_acquire().unwrap();
        bulkhead.try_acquire().unwrap_err();
        guards.bulkhead(&bulkhead);
    }
    log.report();
    let told = kept.take();
    assert_eq!(told.len(), 2);
    for ((_, fields), guard) in told.iter().zip(["circuit_breaker", "bulkhead"]) {
        assert_eq!((&*fields["guard"], &*fields["refused"]), (guard, "1000"));
    }
}

#[test]
fn a_throttle_is_told_of_too() {
    let (kept, _guard) = Kept::begin();
    let throttle = Throttle::builder("search")
        .minimum_requests(0)
        .max_probability(1.0)
        .seed(1);
    let throttle = throttle.build().unwrap();
    let guards = Guards::new();
    guards.throttle(&throttle);
    let log = RefusalLog::new(guards);
    for dry_run in [false, true] {
        throttle.set_dry_run(dry_run);
        let before = throttle.snapshot();
        for _ in 0..100 {
            if let Ok(permit) = throttle.try_acquire() {
                permit.failure();
            }
        }
        let now = throttle.snapshot();
        log.report();
        let told = kept.take();
        assert_eq!(told.len(), 1);
        let fields = &told[0].1;
        assert_eq!(
            (&*fields["guard"], &*fields["name"]),
            ("throttle", "search")
        );
        assert_eq!(
            fields["refused"],
            (now.refused - before.refused).to_string()
        );
        let would = now.would_refuse - before.would_refuse;
        assert_eq!(fields["would_refuse"], would.to_string());
    }
}

#[test]
fn refusals_are_told_once_per_guard_and_look_with_how_many_and_why() {
    let (kept, _guard) = Kept::begin();
    let circuit = CircuitBreaker::builder("stock").consecutive_failures(1);
    let circuit = circuit.build().unwrap();
    let bulkhead = Bulkhead::builder("reports").max_concurrent(1);
    let bulkhead = bulkhead.build().unwrap();
    let guards = Guards::new();
    guards.breaker(&circuit).bulkhead(&bulkhead);
    circuit.force_open();
    circuit.try_acquire().unwrap_err();
    let log = RefusalLog::new(guards.clone());
    log.report();
    assert_eq!(kept.take(), [], "what was refused before is no news");

    let _held = bulkhead.try_acquire().unwrap();
    for _ in 0..1_000 {
        circuit.try_acquire().unwrap_err();
        bulkhead.try_acquire().unwrap_err();
    }
    circuit.set_dry_run(true);
    drop(circuit.try_acquire().unwrap());
    assert_eq!(kept.take(), []);
    log.report();
    let of_the_circuit = fields([
        ("message", "calls refused"),
        ("guard", "circuit_breaker"),
        ("name", "stock"),
        ("refused", "1000"),
        ("circuit_open", "0"),
        ("half_open_full", "0"),
        ("forced_open", "1000"),
        ("ramping", "0"),
        ("would_refuse", "1"),
    ]);
    let of_the_bulkhead = fields([
        ("message", "calls refused"),
        ("guard", "bulkhead"),
        ("name", "reports"),
        ("refused", "1000"),
        ("bulkhead_full", "1000"),
        ("queue_full", "0"),
        ("waited_too_long", "0"),
        ("displaced", "0"),
        ("would_refuse", "0"),
        ("would_wait", "0"),
    ]);
    let warn = tracing::Level::WARN;
    assert_eq!(
        kept.take(),
        [(warn, of_the_circuit), (warn, of_the_bulkhead)]
    );
    log.report();
    assert_eq!(kept.take(), []);

    // A guard that was built since: all that it refused is news.
    let late = CircuitBreaker::builder("late")
        .consecutive_failures(1)
        .build()
        .unwrap();
    guards.breaker(&late);
    late.force_open();
    late.try_acquire().unwrap_err();
    log.report();
    let told = kept.take();
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].1["name"], &*told[0].1["refused"]), ("late", "1"));
}

#[tokio::test(start_paused = true)]
async fn the_log_looks_at_intervals() {
    let (kept, _guard) = Kept::begin();
    let circuit = breaker("stock");
    let guards = Guards::new();
    guards.breaker(&circuit);
    circuit.force_open();
    kept.take();
    let log = RefusalLog::new(guards).run(Duration::from_secs(10));
    let mut log = tokio_test::task::spawn(log);
    tokio_test::assert_pending!(log.poll());
    for refused in ["5", "3"] {
        for _ in 0..refused.parse().unwrap() {
            circuit.try_acquire().unwrap_err();
        }
        tokio_test::assert_pending!(log.poll());
        assert_eq!(kept.take(), [], "before it is time");
        advance(Duration::from_secs(10)).await;
        tokio_test::assert_pending!(log.poll());
        let told = kept.take();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].1["refused"], refused);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_is_told_at_once_and_one_that_is_full_again_and_again_is_not() {
    let (kept, _guard) = Kept::begin();
    let bulkhead = Bulkhead::builder("reports")
        .max_concurrent(1)
        .listener(observe::log_bulkhead_events(Duration::from_secs(10)))
        .build()
        .unwrap();
    let be_full_once = || {
        let _held = bulkhead.try_acquire().unwrap();
        for _ in 0..100 {
            bulkhead.try_acquire().unwrap_err();
        }
    };
    let warn = |untold| {
        let fields = fields([
            ("message", "the bulkhead is full"),
            ("name", "reports"),
            ("untold", untold),
        ]);
        (tracing::Level::WARN, fields)
    };
    let relieved = fields([
        ("message", "the bulkhead has room again"),
        ("name", "reports"),
    ]);
    let relieved = (tracing::Level::INFO, relieved);
    be_full_once();
    assert_eq!(kept.take(), [warn("0"), relieved.clone()]);
    for _ in 0..50 {
        be_full_once();
    }
    assert_eq!(kept.take(), []);
    advance(Duration::from_secs(10)).await;
    be_full_once();
    assert_eq!(kept.take(), [warn("50"), relieved]);

    bulkhead.resize(3).unwrap();
    let told = kept.take();
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].1["from"], &*told[0].1["to"]), ("1", "3"));
}
