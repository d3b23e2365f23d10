//! Every interleaving of results with the closing of windows, by loom; run by `.ci/loom`.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::Duration,
};

use loom::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{Algorithm, Sample, Window, sampler::Sampler};

const MS: u64 = 1_000_000;
// What latencies are counted in.
const UNIT: u64 = 256;

// Another limit every time.
struct Counts(Arc<Mutex<Vec<Sample>>>);

impl Algorithm for Counts {
    fn initial(&self) -> usize {
        1
    }

    fn bounds(&self) -> RangeInclusive<usize> {
        1..=100
    }

    fn update(&mut self, sample: &Sample) -> usize {
        let mut seen = self.0.lock().unwrap();
        seen.push(*sample);
        1 + seen.len()
    }
}

struct Model {
    sampler: Sampler,
    limit: AtomicUsize,
    seen: Arc<Mutex<Vec<Sample>>>,
}

impl Model {
    fn new() -> Arc<Self> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let algorithm = Box::new(Counts(seen.clone()));
        let window = Window::new()
            .at_least(Duration::from_millis(1))
            .minimum_calls(1);
        Arc::new(Self {
            sampler: Sampler::new(algorithm, (1, 1, 100), window, 0),
            limit: AtomicUsize::new(1),
            seen,
        })
    }

    fn success(&self, units: u64, now: u64, in_flight: usize) {
        self.sampler
            .success(now - units * UNIT, now, in_flight, |limit| self.set(limit));
    }

    fn dropped(&self, now: u64) {
        self.sampler.drop(now, now, 1, |limit| self.set(limit));
    }

    fn set(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    fn seen(&self) -> Vec<Sample> {
        self.seen.lock().unwrap().clone()
    }
}

#[test]
fn every_result_is_in_one_window_and_the_last_limit_found_is_the_one_that_holds() {
    loom::model(|| {
        let model = Model::new();
        let other = {
            let model = model.clone();
            thread::spawn(move || model.success(10, 2 * MS, 7))
        };
        model.success(1, MS, 3);
        other.join().unwrap();
        model.success(100, 100 * MS, 2);

        // The means tell which results were together.
        let means: Vec<_> = model
            .seen()
            .iter()
            .map(|sample| sample.rtt.as_nanos() as u64)
            .collect();
        let [one, ten, hundred] = [UNIT, 10 * UNIT, 100 * UNIT];
        let pair = |a, b| (a + b) / 2;
        let possible = [
            vec![one, ten, hundred],
            vec![ten, pair(one, hundred)],
            vec![one, pair(ten, hundred)],
            vec![pair(one, ten), hundred],
        ];
        assert!(possible.contains(&means), "{means:?}");
        let most = model.seen().iter().map(|sample| sample.in_flight).max();
        assert_eq!(most, Some(7));
        assert_eq!(model.limit.load(Ordering::Relaxed), 1 + means.len());
    });
}

#[test]
fn a_drop_is_in_one_window() {
    loom::model(|| {
        let model = Model::new();
        let other = {
            let model = model.clone();
            thread::spawn(move || model.dropped(2 * MS))
        };
        model.success(1, MS, 1);
        other.join().unwrap();
        model.success(1, 100 * MS, 1);
        let dropped = model.seen().iter().filter(|sample| sample.dropped).count();
        assert_eq!(dropped, 1);
    });
}
