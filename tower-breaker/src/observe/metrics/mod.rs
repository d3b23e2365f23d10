//! Guards as metrics.

mod breaker;
mod bulkhead;
mod distribution;
mod ledger;
mod series;
mod throttle;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use metrics::Recorder;

use self::{
    breaker::BREAKER,
    bulkhead::{BULKHEAD, PARTITION, Part},
    ledger::Ledger,
    throttle::THROTTLE,
};
use super::Guards;
use crate::{
    Snapshot, bulkhead::Snapshot as BulkheadSnapshot, throttle::Snapshot as ThrottleSnapshot,
};

/// The name under which those are published that have no place of their own.
const OTHER: &str = "other";

/// Publishes guards through the facade of the `metrics` crate, whenever it is told to.
///
/// Guards count for themselves, whoever looks. This only copies what they have counted, so it costs calls nothing: neither an
/// instruction nor an allocation. What it publishes is in the [table](super#metrics).
///
/// ```
/// use metrics_exporter_prometheus::PrometheusBuilder;
/// use tower_breaker::{CircuitBreaker, observe::{Guards, Metrics}};
///
/// let breaker = CircuitBreaker::builder("inventory").consecutive_failures(5).build()?;
/// let guards = Guards::new();
/// guards.breaker(&breaker);
/// let metrics = Metrics::new(guards);
///
/// let recorder = PrometheusBuilder::new().build_recorder();
/// // In a service the recorder is installed, `collect` is called, and then the handle renders.
/// metrics.collect_into(&recorder);
/// let text = recorder.handle().render();
/// assert!(text.contains(r#"circuit_breaker_state{name="inventory",state="CLOSED"} 1"#));
/// # Ok::<(), tower_breaker::BuildError>(())
/// ```
///
/// Call [`collect`](Self::collect) before each scrape, or spawn [`run`](Self::run) where metrics are pushed.
///
/// Counters never go backwards: not when a circuit is reset, nor when a guard is replaced by another of its name. What a
/// guard counted between the last look and its end is lost.
///
/// No series is dropped when its guards have gone, because the facade has no way to: its gauges are set to zero once, and then it
/// is left alone, so that an exporter's idle time-out forgets it.
pub struct Metrics {
    guards: Guards,
    max_names: usize,
    ledgers: Mutex<Ledgers>,
}

struct Ledgers {
    breakers: Ledger<Snapshot>,
    bulkheads: Ledger<BulkheadSnapshot>,
    partitions: Ledger<Part>,
    throttles: Ledger<ThrottleSnapshot>,
}

impl Metrics {
    /// Will publish these guards, and what is added to them later.
    pub fn new(guards: Guards) -> Self {
        Self {
            guards,
            max_names: 1_000,
            ledgers: Mutex::new(Ledgers {
                breakers: Ledger::new(&BREAKER),
                bulkheads: Ledger::new(&BULKHEAD),
                partitions: Ledger::new(&PARTITION),
                throttles: Ledger::new(&THROTTLE),
            }),
        }
    }

    /// How many names of one kind of guard are published, ever; those that come later are published together under `other`.
    /// What comes and goes cannot fill memory, here or in the exporter. The default is 1,000.
    pub fn max_names(mut self, names: usize) -> Self {
        self.max_names = names;
        self
    }

    /// Publishes how the guards stand now, to the recorder that is installed; without one it does nothing that lasts.
    pub fn collect(&self) {
        metrics::with_recorder(|recorder| self.collect_into(recorder));
    }

    /// As [`collect`](Self::collect), to this recorder.
    ///
    /// # Panics
    ///
    /// When a [source](Guards::source) does, or the recorder.
    pub fn collect_into(&self, recorder: &dyn Recorder) {
        let found = self.guards.look();
        // A panic of the recorder leaves the ledgers complete: they are entered first.
        let mut ledgers = self.ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        let Ledgers {
            breakers,
            bulkheads,
            partitions,
            throttles,
        } = &mut *ledgers;
        let named = found.breakers.iter();
        let named = named.map(|(name, snapshot)| (vec![Arc::clone(name)], snapshot));
        breakers.enter(named, self.max_names);
        let named = found.bulkheads.iter();
        let named = named.map(|(name, snapshot)| (vec![Arc::clone(name)], snapshot));
        bulkheads.enter(named, self.max_names);
        let of_bulkheads = found.bulkheads.iter();
        let parts: Vec<_> = of_bulkheads
            .flat_map(|(name, bulkhead)| {
                let of_one = Part::all_of(bulkhead);
                of_one.map(|part| (vec![Arc::clone(name), part.name()], part))
            })
            .collect();
        let named = parts.iter().map(|(names, part)| (names.clone(), part));
        partitions.enter(named, self.max_names);
        let named = found.throttles.iter();
        let named = named.map(|(name, snapshot)| (vec![Arc::clone(name)], snapshot));
        throttles.enter(named, self.max_names);
        breakers.describe(recorder);
        bulkheads.describe(recorder);
        partitions.describe(recorder);
        throttles.describe(recorder);
        breakers.publish(recorder);
        bulkheads.publish(recorder);
        partitions.publish(recorder);
        throttles.publish(recorder);
    }

    /// [Collects](Self::collect) at once and then every so often, for as long as it is polled. Spawn it; dropped, it stops.
    ///
    /// # Panics
    ///
    /// If no tokio timer is running, or the interval is zero.
    pub async fn run(self, every: Duration) {
        super::at_intervals(every, || self.collect()).await;
    }
}

fn nanos(duration: Duration) -> u64 {
    // Enough for five centuries.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("guards", &self.guards)
            .field("max_names", &self.max_names)
            .finish_non_exhaustive()
    }
}
