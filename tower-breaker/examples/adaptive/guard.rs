//! What the calls pass: a real bulkhead, on a clock that the program turns.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tower_breaker::{
    BuildError, Bulkhead, BulkheadPermit,
    bulkhead::{Outcome, limit::Algorithm},
};

pub struct Guard {
    bulkhead: Bulkhead,
    time: Arc<AtomicU64>,
}

pub type Permit = BulkheadPermit;

impl Guard {
    pub fn fixed(limit: usize) -> Result<Self, BuildError> {
        Ok(Self {
            bulkhead: Bulkhead::builder("fixed").max_concurrent(limit).build()?,
            time: Arc::default(),
        })
    }

    pub fn adaptive(algorithm: impl Algorithm) -> Result<Self, BuildError> {
        let time = Arc::new(AtomicU64::new(0));
        let (origin, turned) = (Instant::now(), time.clone());
        let clock = move || origin + Duration::from_nanos(turned.load(Ordering::Relaxed));
        let bulkhead = Bulkhead::builder("adaptive")
            .adaptive(algorithm)
            .clock(clock)
            .build()?;
        Ok(Self { bulkhead, time })
    }

    pub fn limit(&self) -> usize {
        self.bulkhead.snapshot().max_concurrent
    }

    pub fn try_enter(&self, now: u64) -> Option<Permit> {
        self.time.store(now, Ordering::Relaxed);
        self.bulkhead.try_acquire().ok()
    }

    pub fn finish(&self, permit: Permit, now: u64, outcome: Outcome) {
        self.time.store(now, Ordering::Relaxed);
        permit.finish(outcome);
    }
}
