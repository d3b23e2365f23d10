//! One endpoint, and what all workers know of it.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tower_breaker::CircuitBreaker;

use super::{handle::Shared, in_flight::InFlight, latency::PeakEwma, moment::Moment, slow_start};
use crate::config::model;

/// What discovery knows of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSpec {
    /// Which it is.
    pub key: EndpointKey,
    /// Its share of requests relative to others'. Zero counts as 1.
    pub weight: u32,
    /// Where it stands.
    pub zone: Option<Arc<str>>,
}

/// What makes an endpoint the same one after an update.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointKey {
    /// Host name or IP address, for `Host` and certificates.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub https: bool,
    /// Where it is, if discovery has resolved the name; else the name is resolved at each connection.
    pub address: Option<SocketAddr>,
}

impl fmt::Display for EndpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)?;
        match self.address {
            Some(address) if address.ip().to_string() != *self.host => {
                write!(f, "@{}", address.ip())
            }
            _ => Ok(()),
        }
    }
}

impl From<&model::Endpoint> for EndpointSpec {
    fn from(endpoint: &model::Endpoint) -> Self {
        Self {
            key: EndpointKey {
                host: endpoint.host.clone(),
                port: endpoint.port,
                https: endpoint.https,
                address: None,
            },
            weight: endpoint.weight,
            zone: endpoint.zone.clone(),
        }
    }
}

/// An endpoint's number, unique in the process: cheaper to compare than what it is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EndpointId(u64);

/// Active checks say that it is not well.
pub(super) const UNHEALTHY: u32 = 1;
/// Its circuit is not closed.
pub(super) const OUT: u32 = 2;
/// With [`OUT`]: it was opened by hand.
pub(super) const HELD: u32 = 4;
/// It is no longer in the set.
pub(super) const DRAINING: u32 = 8;

/// One endpoint. Shared by all workers, by all snapshots it is in, and by its requests.
pub struct Endpoint {
    live: Live,
    /// When its circuit wants to be asked for a trial.
    trial_at: AtomicU64,
    /// When it joined or was well again, if that is to be slow; else zero.
    slow_since: AtomicU64,
    id: EndpointId,
    key: EndpointKey,
    name: Arc<str>,
    breaker: Option<CircuitBreaker>,
    set: Weak<Shared>,
}

// What requests write, in a cache line of its own, so that those of one endpoint do not slow down those of another. Two counters
// that only grow instead of one: as cheap, and exact totals besides.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Live {
    flags: AtomicU32,
    started: AtomicU64,
    ended: AtomicU64,
    failed: AtomicU64,
    latency: PeakEwma,
}

impl Endpoint {
    /// `slow_since`: when its slow start began, if it has one.
    pub(super) fn new(
        key: EndpointKey,
        name: Arc<str>,
        breaker: Option<CircuitBreaker>,
        slow_since: Option<Moment>,
        set: Weak<Shared>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            live: Live::default(),
            trial_at: AtomicU64::new(Moment::NEVER.as_nanos()),
            slow_since: AtomicU64::new(slow_since.map_or(0, Moment::as_nanos)),
            id: EndpointId(NEXT.fetch_add(1, Ordering::Relaxed)),
            key,
            name,
            breaker,
            set,
        }
    }

    /// Its number.
    #[inline]
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// What it is known by.
    pub fn key(&self) -> &EndpointKey {
        &self.key
    }

    /// `host:port`, with `@address` if discovery has resolved the name. For metrics and logs, never for clients.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The circuit that takes it out of the set, if ejection is configured.
    pub fn breaker(&self) -> Option<&CircuitBreaker> {
        self.breaker.as_ref()
    }

    /// What an active check has found. Until the first one an endpoint counts as well.
    pub fn set_healthy(&self, is_healthy: bool) {
        // Checks mostly find what the last one did.
        if self.is_healthy() != is_healthy
            && let Some(set) = self.set.upgrade()
        {
            set.health_changed(self, is_healthy);
        }
        if let Some(breaker) = &self.breaker {
            breaker.report_health(is_healthy);
        }
    }

    /// Whether active checks find it well.
    pub fn is_healthy(&self) -> bool {
        self.flags() & UNHEALTHY == 0
    }

    /// Whether its circuit keeps it out of the set.
    pub fn is_ejected(&self) -> bool {
        self.flags() & OUT != 0
    }

    /// Whether it has left the set: it gets no new requests, and its connections should not be kept.
    #[inline]
    pub fn is_draining(&self) -> bool {
        self.flags() & DRAINING != 0
    }

    /// Requests under way.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        // In this order, so that a request that ends in between is not counted as ended but not begun.
        let ended = self.live.ended.load(Ordering::Relaxed);
        let started = self.live.started.load(Ordering::Relaxed);
        // There are never 2^32 at once. A thread may see an end before the beginning: then there is none.
        (started.wrapping_sub(ended) as i64).max(0) as u32
    }

    /// Requests begun so far.
    pub fn started(&self) -> u64 {
        self.live.started.load(Ordering::Relaxed)
    }

    /// Requests that failed so far.
    pub fn failed(&self) -> u64 {
        self.live.failed.load(Ordering::Relaxed)
    }

    /// The peak EWMA of its latency.
    #[inline]
    pub fn latency(&self) -> &PeakEwma {
        &self.live.latency
    }

    /// Begins a request to it, whatever its condition: for those who have not asked a balancer.
    pub fn start(self: &Arc<Self>, now: Moment) -> InFlight {
        InFlight::new(self.clone(), self.admission(), false, now)
    }

    // A closed circuit wants to hear of every request. One that is not decides by its trials alone: the request is made without it.
    #[inline]
    pub(super) fn admission(&self) -> Option<tower_breaker::Permit> {
        let breaker = self.breaker.as_ref()?;
        if self.is_ejected() {
            return None;
        }
        breaker.try_acquire().ok()
    }

    #[inline]
    pub(super) fn count_start(&self) {
        self.live.started.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn count_end(&self) {
        self.live.ended.fetch_add(1, Ordering::Relaxed);
    }

    #[cold]
    pub(super) fn count_failure(&self) {
        self.live.failed.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn flags(&self) -> u32 {
        self.live.flags.load(Ordering::Relaxed)
    }

    // Only under the set's lock, as all that follow.
    pub(super) fn set_flags(&self, flags: u32) {
        self.live.flags.fetch_or(flags, Ordering::Relaxed);
    }

    pub(super) fn clear_flags(&self, flags: u32) {
        self.live.flags.fetch_and(!flags, Ordering::Relaxed);
    }

    pub(super) fn trial_at(&self) -> Moment {
        Moment::from_nanos(self.trial_at.load(Ordering::Relaxed))
    }

    pub(super) fn set_trial_at(&self, at: Moment) {
        self.trial_at.store(at.as_nanos(), Ordering::Relaxed);
    }

    pub(super) fn begin_slowly(&self, now: Moment) {
        self.slow_since.store(now.as_nanos(), Ordering::Relaxed);
    }

    pub(super) fn slow_since(&self) -> Option<Moment> {
        let since = self.slow_since.load(Ordering::Relaxed);
        (since > 0).then(|| Moment::from_nanos(since))
    }

    /// Which part of its full share it gets.
    pub(super) fn slow_factor(&self, over: Duration, now: Moment) -> f64 {
        self.slow_since()
            .map_or(1.0, |since| slow_start::factor(since, over, now))
    }

    /// Its circuit has ended a trial without a verdict, or has refused one.
    #[cold]
    pub(super) fn look_for_the_next_trial(&self) {
        if let Some(set) = self.set.upgrade() {
            set.trial_undecided(self);
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("flags", &self.flags())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}
