use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_breaker::{
    Bulkhead,
    bulkhead::limit::{Algorithm, Sample, Window},
};

pub const WINDOW: Duration = Duration::from_millis(100);

/// Says what it is told, one after the other and the last one for ever, and remembers what it was shown.
pub struct Scripted {
    initial: usize,
    limits: VecDeque<usize>,
    seen: Seen,
}

#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Vec<Sample>>>);

impl Seen {
    pub fn all(&self) -> Vec<Sample> {
        self.0.lock().unwrap().clone()
    }

    /// Milliseconds, the most in flight, whether a call was dropped.
    pub fn last(&self) -> Option<(u128, usize, bool)> {
        let last = self.all().pop()?;
        Some((last.rtt.as_millis(), last.in_flight, last.dropped))
    }
}

impl Scripted {
    pub fn new(initial: usize, limits: &[usize], seen: Seen) -> Self {
        Self {
            initial,
            limits: limits.iter().copied().collect(),
            seen,
        }
    }
}

impl Algorithm for Scripted {
    fn initial(&self) -> usize {
        self.initial
    }

    fn bounds(&self) -> RangeInclusive<usize> {
        1..=100
    }

    fn update(&mut self, sample: &Sample) -> usize {
        self.seen.0.lock().unwrap().push(*sample);
        match self.limits.len() {
            0 => self.initial,
            1 => self.limits[0],
            _ => self.limits.pop_front().unwrap(),
        }
    }
}

/// A bulkhead by tokio's clock, whose windows are closed by the first call after 100 ms.
pub fn scripted(initial: usize, limits: &[usize], max_queue: usize) -> (Bulkhead, Seen) {
    let seen = Seen::default();
    let algorithm = Scripted::new(initial, limits, seen.clone());
    let bulkhead = Bulkhead::builder("stock")
        .adaptive(algorithm)
        .limit_window(Window::new().at_least(WINDOW).minimum_calls(1))
        .max_queue(max_queue)
        .build()
        .unwrap();
    (bulkhead, seen)
}

pub async fn ms(time: u64) {
    tokio::time::advance(Duration::from_millis(time)).await;
}
