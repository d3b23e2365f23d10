//! What all handles of one throttle share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::snapshot::Snapshot;
use crate::{
    Reason, Refused,
    breaker::{
        Clock,
        window::{Tally, TimeWindow},
    },
    dice::Dice,
    label::Label,
    refused::Details,
    striped::Striped,
    sync::{AtomicU64, Ordering},
};

const SLICES: u32 = 16;

#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) k: f64,
    pub(super) max_probability: f64,
    pub(super) minimum_requests: u32,
    pub(super) count_abandoned: bool,
    /// At the start.
    pub(super) dry_run: bool,
}

impl Settings {
    fn probability(&self, requests: u32, accepts: u32) -> f64 {
        if requests < self.minimum_requests {
            return 0.0;
        }
        let requests = f64::from(requests);
        let refusable = requests - self.k * f64::from(accepts);
        (refusable / (requests + 1.0)).clamp(0.0, self.max_probability)
    }
}

/// How an admitted call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Ignore,
    Abandoned,
}

// The totals: one for each outcome, by its number, and these.
const ADMITTED: usize = 4;
const REFUSED: usize = 5;
const WOULD_REFUSE: usize = 6;

pub(super) struct Shared {
    id: u64,
    name: Arc<str>,
    label: Label,
    settings: Settings,
    dry_run: AtomicBool,
    length: Duration,
    clock: Box<dyn Clock>,
    origin: Instant,
    // Hits are the requests that were not accepted: then a success is counted in the cheapest way.
    window: TimeWindow,
    // The time of the latest admission, in steps: the time of whatever ends before the next.
    latest: AtomicU64,
    step: u64,
    dice: Dice,
    totals: Striped<7>,
}

impl Shared {
    pub(super) fn new(
        name: Arc<str>,
        settings: Settings,
        length: Duration,
        clock: Box<dyn Clock>,
        dice: Dice,
    ) -> Self {
        // At most an hour.
        let nanos = length.as_nanos() as u64;
        Self {
            id: crate::id::next(),
            label: Label::kept(Arc::clone(&name)),
            name,
            dry_run: AtomicBool::new(settings.dry_run),
            settings,
            length,
            origin: clock.origin(),
            clock,
            window: TimeWindow::new(nanos, SLICES),
            latest: AtomicU64::new(0),
            step: nanos / u64::from(SLICES * 16),
            dice,
            totals: Striped::new(),
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Decides about one call.
    #[inline]
    pub(super) fn admit(&self) -> Result<(), Refused> {
        let now = self.clock.nanos_since(self.origin);
        let latest = self.latest.load(Ordering::Relaxed);
        if now >= latest + self.step {
            self.latest.fetch_max(now, Ordering::Relaxed);
        }
        let probability = self.probability(self.window.tally(now));
        if probability > 0.0 && self.dice.share() < probability {
            if !self.is_dry_run() {
                return Err(self.refuse(now));
            }
            self.totals.add(WOULD_REFUSE);
        }
        self.totals.add(ADMITTED);
        Ok(())
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run.load(Relaxed)
    }

    pub(super) fn set_dry_run(&self, dry_run: bool) {
        self.dry_run.store(dry_run, Relaxed);
    }

    #[inline(never)]
    fn refuse(&self, now: u64) -> Refused {
        self.window.count(now, true);
        self.totals.add(REFUSED);
        Refused::new(&self.label, Details::new(Reason::Throttled, None))
    }

    /// Counts how an admitted call ended.
    #[inline]
    pub(super) fn settle(&self, outcome: Outcome) {
        match outcome {
            Outcome::Success => self.count(true),
            Outcome::Failure => self.count(false),
            Outcome::Abandoned if self.settings.count_abandoned => self.count(false),
            Outcome::Abandoned | Outcome::Ignore => {}
        }
        self.totals.add(outcome as usize);
    }

    /// Counts a request that was not accepted, and which never was a call.
    #[cold]
    pub(super) fn unready(&self) {
        // By the clock: nothing is admitted while the service behind is not ready, so the latest admission may be long ago.
        let now = self.clock.nanos_since(self.origin);
        self.window.count(now, true);
    }

    #[inline]
    fn count(&self, accepted: bool) {
        let now = self.latest.load(Ordering::Relaxed);
        self.window.count(now, !accepted);
    }

    #[inline]
    fn probability(&self, tally: Tally) -> f64 {
        let (requests, accepts) = counts(tally);
        self.settings.probability(requests, accepts)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let tally = self.window.tally(self.clock.nanos_since(self.origin));
        let (requests, accepts) = counts(tally);
        let total = |count| self.totals.sum(count);
        Snapshot {
            id: self.id,
            name: Arc::clone(&self.name),
            dry_run: self.is_dry_run(),
            k: self.settings.k,
            window: self.length,
            requests,
            accepts,
            probability: self.settings.probability(requests, accepts),
            refused: total(REFUSED),
            would_refuse: total(WOULD_REFUSE),
            succeeded: total(Outcome::Success as usize),
            failed: total(Outcome::Failure as usize),
            ignored: total(Outcome::Ignore as usize),
            abandoned: total(Outcome::Abandoned as usize),
            // Last, so that it holds every call whose end has been counted.
            admitted: total(ADMITTED),
        }
    }
}

fn counts(tally: Tally) -> (u32, u32) {
    // Read slot by slot while others write, hits may be ahead of calls for a moment.
    (tally.calls, tally.calls.saturating_sub(tally.failures))
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    fn probability(minimum_requests: u32, requests: u32, accepts: u32) -> f64 {
        let settings = Settings {
            k: 2.0,
            max_probability: 0.9,
            minimum_requests,
            count_abandoned: false,
            dry_run: false,
        };
        settings.probability(requests, accepts)
    }

    #[test]
    fn the_probability_is_the_books_between_its_two_limits() {
        assert_eq!(probability(0, 0, 0), 0.0);
        assert_eq!(probability(0, 100, 100), 0.0);
        assert_eq!(probability(0, 100, 50), 0.0);
        assert!((probability(0, 100, 40) - 20.0 / 101.0).abs() < 1e-12);
        assert_eq!(probability(0, 1, 0), 0.5);
        assert_eq!(probability(0, 1_000_000, 0), 0.9);
        assert_eq!(probability(101, 100, 0), 0.0);
        assert_eq!(probability(100, 100, 0), 0.9);
    }
}
