//! The snapshot that workers pick from.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    balance::{self, Picked, consistent_hash::Ring},
    endpoint::{Endpoint, EndpointId, OUT},
    group::{Group, Member, Place},
    handle::Settings,
    moment::Moment,
};

/// Which endpoints there are and which of them may be used, as of one moment, and everything that follows from that. Made anew
/// whenever that changes, and never changed itself. What changes with every request is in the endpoints.
#[derive(Debug)]
pub struct EndpointSet {
    version: u64,
    pub(super) members: Box<[Member]>,
    /// Those that may be used: in the gateway's zone, or all if zones do not matter,
    pub(super) local: Group,
    /// and elsewhere.
    pub(super) others: Group,
    /// How often of 2^32 a request stays in the zone.
    local_share: u64,
    available: usize,
    panicking: bool,
    /// Places among the members of those whose circuit is not closed.
    out: Box<[u32]>,
    /// Until then some endpoint is beginning slowly.
    pub(super) slow_until: Moment,
    pub(super) slow_start: Duration,
    pub(super) ring: Option<Arc<Ring>>,
    live: Arc<Live>,
}

/// What all snapshots of an upstream share.
#[derive(Debug)]
pub(super) struct Live {
    /// When the next circuit wants to be asked for a trial.
    pub(super) next_trial: AtomicU64,
    pub(super) ejections: AtomicU64,
    pub(super) overflowed: AtomicU64,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            next_trial: AtomicU64::new(Moment::NEVER.as_nanos()),
            ejections: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
        }
    }
}

const ALWAYS: u64 = 1 << 32;

impl EndpointSet {
    pub(super) fn new(
        version: u64,
        members: &[Member],
        ring: Option<Arc<Ring>>,
        settings: &Settings,
        live: Arc<Live>,
    ) -> Self {
        let is_available = |member: &&Member| member.endpoint.flags() == 0;
        let available = members.iter().filter(is_available).count();
        let panic_below = settings
            .ejection
            .as_ref()
            .map_or(0.0, |ejection| ejection.panic_below);
        let panicking = (available as f64) < panic_below * members.len() as f64;
        let usable: Vec<Member> = members
            .iter()
            .filter(|member| panicking || is_available(member))
            .cloned()
            .collect();
        let zone = settings.zone.as_deref().filter(|_| !panicking);
        let (local, others, local_share) = by_zone(members, usable, zone);
        let needs = balance::needs(&settings.balancer);
        let out = (0_u32..)
            .zip(members)
            .filter(|(_, member)| member.endpoint.flags() & OUT != 0)
            .map(|(place, _)| place)
            .collect();
        let slow_until = members
            .iter()
            .filter_map(|member| member.endpoint.slow_since())
            .map(|since| since.after(settings.slow_start))
            .max()
            .unwrap_or_default();
        Self {
            version,
            members: members.into(),
            local: Group::new(local, needs),
            others: Group::new(others, needs),
            local_share,
            available,
            panicking,
            out,
            slow_until,
            slow_start: settings.slow_start,
            ring,
            live,
        }
    }

    /// One more with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many endpoints there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many are available: found well by active checks, and not ejected.
    pub fn available(&self) -> usize {
        self.available
    }

    /// Whether so few are available that all are used.
    pub fn is_panicking(&self) -> bool {
        self.panicking
    }

    /// All endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.members.iter().map(|member| &member.endpoint)
    }

    /// The share of requests that stay in the gateway's zone. 1 if zones do not matter.
    pub fn local_share(&self) -> f64 {
        self.local_share as f64 / ALWAYS as f64
    }

    #[inline]
    pub(super) fn group(&self, place: Place) -> &Group {
        match place {
            Place::Local => &self.local,
            Place::Others => &self.others,
        }
    }

    #[inline]
    pub(super) fn stays_local(&self, random: &mut fastrand::Rng) -> bool {
        self.local_share == ALWAYS || u64::from(random.u32(..)) < self.local_share
    }

    #[inline]
    pub(super) fn next_trial(&self) -> Moment {
        Moment::from_nanos(self.live.next_trial.load(Ordering::Relaxed))
    }

    /// The first endpoint whose circuit admits a trial now.
    #[cold]
    pub(super) fn trial(&self, avoid: &[EndpointId], now: Moment) -> Option<Picked> {
        for &place in &self.out {
            let endpoint = &self.members[place as usize].endpoint;
            // In trouble by its circuit alone: another trouble says that the trial would fail.
            let is_due = endpoint.flags() == OUT && endpoint.trial_at() <= now;
            if !is_due || avoid.contains(&endpoint.id()) {
                continue;
            }
            match endpoint.breaker().and_then(|breaker| breaker.try_trial()) {
                Some(permit) => return Some(Picked::trial(endpoint.clone(), permit)),
                None => endpoint.look_for_the_next_trial(),
            }
        }
        None
    }
}

/// Shares the members out between the gateway's zone and the others.
///
/// If gateways are spread evenly over the zones, each has the same share of all requests, and a zone has that share of the work to do
/// if its endpoints have that share of the available weight. With less, what is missing goes to the other zones, so that all
/// available endpoints have the same load, as Envoy's zone-aware routing does it.
fn by_zone(
    members: &[Member],
    usable: Vec<Member>,
    zone: Option<&str>,
) -> (Vec<Member>, Vec<Member>, u64) {
    let Some(zone) = zone else {
        return (usable, Vec::new(), ALWAYS);
    };
    let weight =
        |members: &[Member]| -> f64 { members.iter().map(|member| f64::from(member.weight)).sum() };
    let all = weight(&usable);
    let (local, others): (Vec<Member>, Vec<Member>) = usable
        .into_iter()
        .partition(|member| member.zone.as_deref() == Some(zone));
    if local.is_empty() || others.is_empty() {
        let rest = if local.is_empty() { others } else { local };
        return (rest, Vec::new(), ALWAYS);
    }
    let zones: BTreeSet<&str> = members
        .iter()
        .filter_map(|member| member.zone.as_deref())
        .collect();
    let share = zones.len() as f64 * weight(&local) / all;
    // A cast saturates.
    let share = (share * ALWAYS as f64) as u64;
    (local, others, share.min(ALWAYS))
}
