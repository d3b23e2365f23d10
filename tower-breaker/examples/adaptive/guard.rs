// TEMPORARY shim until Bulkhead::adaptive is there.
use std::{cell::RefCell, time::Duration};
use tower_breaker::bulkhead::limit::{Algorithm, Sample};

pub struct Guard(RefCell<Inner>);
struct Inner {
    algorithm: Option<Box<dyn Algorithm>>,
    limit: usize,
    in_flight: usize,
    closes: u64,
    since: u64,
    sum: u64,
    n: u64,
    most: usize,
    dropped: bool,
}
pub struct Permit(u64);
impl Guard {
    pub fn fixed(limit: usize) -> Self {
        Self(RefCell::new(Inner {
            algorithm: None,
            limit,
            in_flight: 0,
            closes: 100_000_000,
            since: 0,
            sum: 0,
            n: 0,
            most: 0,
            dropped: false,
        }))
    }
    pub fn adaptive(a: Box<dyn Algorithm>) -> Self {
        let g = Self::fixed(a.initial());
        g.0.borrow_mut().algorithm = Some(a);
        g
    }
    pub fn limit(&self) -> usize {
        self.0.borrow().limit
    }
    pub fn in_flight(&self) -> usize {
        self.0.borrow().in_flight
    }
    pub fn baseline(&self) -> Duration {
        self.0
            .borrow()
            .algorithm
            .as_ref()
            .and_then(|a| a.baseline())
            .unwrap_or_default()
    }
    pub fn try_enter(&self, now: u64) -> Option<Permit> {
        let mut g = self.0.borrow_mut();
        if g.in_flight >= g.limit {
            return None;
        }
        g.in_flight += 1;
        Some(Permit(now))
    }
    pub fn finish(&self, p: Permit, now: u64, ok: bool) {
        let mut g = self.0.borrow_mut();
        g.most = g.most.max(g.in_flight);
        g.in_flight -= 1;
        if ok {
            g.sum += now - p.0;
            g.n += 1;
        } else if p.0 >= g.since {
            g.dropped = true;
        }
        if now >= g.closes && (g.dropped || g.n >= 10) {
            let rtt = if g.n > 0 {
                Duration::from_nanos(g.sum / g.n)
            } else {
                Duration::ZERO
            };
            let mut s = Sample::new(rtt, g.most);
            s.dropped = g.dropped;
            if g.dropped {
                g.since = now;
            }
            g.closes = now + (2 * rtt.as_nanos() as u64).max(100_000_000);
            g.sum = 0;
            g.n = 0;
            g.most = 0;
            g.dropped = false;
            if let Some(a) = &mut g.algorithm {
                let l = a.update(&s);
                g.limit = l;
            }
        }
    }
}
