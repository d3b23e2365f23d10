//! What dashboards and metrics show of an upstream's endpoints.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tower_breaker::State;

use super::{
    endpoint::Endpoint,
    group::{Group, Member},
    handle::Shared,
    moment::Moment,
    set::EndpointSet,
};

/// An upstream's endpoints at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Of the snapshot.
    pub version: u64,
    /// How many endpoints there are.
    pub total: usize,
    /// How many of them are available.
    pub available: usize,
    /// Whether so few are that all are used.
    pub panicking: bool,
    /// The share of requests that stay in the gateway's zone; 1 if zones do not matter.
    pub local_share: f64,
    /// How often an endpoint was ejected.
    pub ejections: u64,
    /// How often an ejection was undone, because too many would have been out.
    pub overflowed: u64,
    /// Each of them; then those that have left, until their last request has ended.
    pub endpoints: Vec<EndpointReport>,
}

/// One endpoint at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointReport {
    /// Its name.
    pub name: Arc<str>,
    /// Its zone.
    pub zone: Option<Arc<str>>,
    /// Its weight; 0 if it has left.
    pub weight: u32,
    /// The share of requests that its weight gives it now, zones, availability and slow start considered. What an algorithm that goes by load
    /// makes of it is another matter.
    pub share: f64,
    /// Requests under way.
    pub in_flight: u32,
    /// Requests begun.
    pub started: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Peak EWMA of its latency, in milliseconds, if known.
    pub ewma_ms: Option<f64>,
    /// Whether active checks find it well.
    pub healthy: bool,
    /// Whether its circuit keeps it out.
    pub ejected: bool,
    /// Whether it has left the set.
    pub draining: bool,
    /// The state of its circuit, if it has one.
    pub circuit: Option<State>,
    /// How long until its trial, if it is ejected and that is known.
    pub trial_in: Option<Duration>,
}

impl Shared {
    pub(super) fn report(&self) -> Report {
        let now = Moment::now();
        let mut book = self.book();
        let set = self.current();
        let mut endpoints: Vec<EndpointReport> = set
            .members
            .iter()
            .map(|member| EndpointReport {
                zone: member.zone.clone(),
                weight: member.weight,
                ..one(&member.endpoint, now)
            })
            .collect();
        share_out(&set, &mut endpoints, now);
        endpoints.extend(book.leaving().iter().map(|endpoint| one(endpoint, now)));
        drop(book);
        Report {
            version: set.version(),
            total: set.len(),
            available: set.available(),
            panicking: set.is_panicking(),
            local_share: set.local_share(),
            ejections: self.live.ejections.load(Ordering::Relaxed),
            overflowed: self.live.overflowed.load(Ordering::Relaxed),
            endpoints,
        }
    }
}

fn one(endpoint: &Endpoint, now: Moment) -> EndpointReport {
    let trial_at = endpoint.trial_at();
    EndpointReport {
        name: endpoint.name().clone(),
        zone: None,
        weight: 0,
        share: 0.0,
        in_flight: endpoint.in_flight(),
        started: endpoint.started(),
        failed: endpoint.failed(),
        ewma_ms: endpoint.latency().get(now).map(|nanos| nanos / 1e6),
        healthy: endpoint.is_healthy(),
        ejected: endpoint.is_ejected(),
        draining: endpoint.is_draining(),
        circuit: endpoint.breaker().map(|breaker| breaker.state()),
        trial_in: (endpoint.is_ejected() && trial_at < Moment::NEVER).then(|| trial_at.since(now)),
    }
}

fn share_out(set: &EndpointSet, endpoints: &mut [EndpointReport], now: Moment) {
    let weight = |member: &Member| {
        f64::from(member.weight) * member.endpoint.slow_factor(set.slow_start, now)
    };
    let mut share_out = |group: &Group, share: f64| {
        let total: f64 = group.members.iter().map(weight).sum();
        for member in &group.members {
            let place = set
                .members
                .iter()
                .position(|other| other.endpoint.id() == member.endpoint.id());
            if let Some(report) = place.and_then(|place| endpoints.get_mut(place)) {
                report.share = share * weight(member) / total;
            }
        }
    };
    share_out(&set.local, set.local_share());
    share_out(&set.others, 1.0 - set.local_share());
}
