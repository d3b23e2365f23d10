//! Which endpoint a request goes to.
//!
//! A [`Balancer`] belongs to one worker. It looks at a snapshot of the set and at the atomics of the endpoints, takes no lock and
//! allocates nothing. In this order:
//!
//! 1. an endpoint whose circuit is due for a trial gets this request as its trial;
//! 2. among the endpoints that are available, of the gateway's own zone or of the others as the snapshot's share says, the
//!    algorithm chooses one that the request has not tried before;
//! 3. if there is none, one in the other zones; if there is none either, one that it has tried;
//! 4. if there is none at all, one that has become available since the snapshot was made.

pub(super) mod consistent_hash;
mod hash;
mod least_request;
mod peak_ewma;
mod round_robin;
mod two_choices;
pub(super) mod weighted;

use std::{fmt, sync::Arc};

use tower_breaker::Permit;

pub use self::hash::hash_key;
use super::{
    endpoint::{DRAINING, Endpoint, EndpointId, HELD, OUT, UNHEALTHY},
    group::{Member, Needs, Place},
    in_flight::InFlight,
    moment::Moment,
    set::EndpointSet,
};
use crate::config::model;

/// What a request wants of an endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// What it is chosen by, if it is by consistent hashing ([`hash_key`]). Requests without go anywhere.
    pub hash: Option<u64>,
    /// Endpoints that it has tried before.
    pub avoid: &'a [EndpointId],
}

/// No endpoint can take the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("none of the upstream's {total} endpoints is available")]
pub struct NoneAvailable {
    /// How many there are.
    pub total: usize,
}

/// An endpoint for one request.
#[derive(Debug)]
#[must_use = "an endpoint is picked for a request"]
pub struct Picked {
    endpoint: Arc<Endpoint>,
    trial: Option<Permit>,
}

impl Picked {
    pub(super) fn trial(endpoint: Arc<Endpoint>, permit: Permit) -> Self {
        Self {
            endpoint,
            trial: Some(permit),
        }
    }

    /// Which.
    #[inline]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Begins the request.
    #[inline]
    pub fn start(self, now: Moment) -> InFlight {
        let is_trial = self.trial.is_some();
        let permit = self.trial.or_else(|| self.endpoint.admission());
        InFlight::new(self.endpoint, permit, is_trial, now)
    }
}

/// Picks endpoints, for one worker.
pub struct Balancer {
    algorithm: Algorithm,
    random: fastrand::Rng,
}

#[derive(Debug)]
enum Algorithm {
    RoundRobin(round_robin::Turns),
    Weighted(round_robin::Turns),
    LeastRequest,
    PeakEwma,
    ConsistentHash,
}

impl Balancer {
    /// One with a chance of its own, so that workers do not choose in step.
    pub fn new(config: &model::Balancer) -> Self {
        Self::seeded(config, fastrand::u64(..))
    }

    /// One that does the same every time.
    pub fn seeded(config: &model::Balancer, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let algorithm = match config {
            model::Balancer::RoundRobin => {
                Algorithm::RoundRobin(round_robin::Turns::new(&mut random))
            }
            model::Balancer::Weighted => Algorithm::Weighted(round_robin::Turns::new(&mut random)),
            model::Balancer::LeastRequest => Algorithm::LeastRequest,
            model::Balancer::PeakEwma => Algorithm::PeakEwma,
            model::Balancer::ConsistentHash(_) => Algorithm::ConsistentHash,
        };
        Self { algorithm, random }
    }

    /// Picks an endpoint for a request.
    #[inline]
    pub fn pick(
        &mut self,
        set: &EndpointSet,
        wanted: Wanted<'_>,
        now: Moment,
    ) -> Result<Picked, NoneAvailable> {
        if now >= set.next_trial()
            && let Some(trial) = set.trial(wanted.avoid, now)
        {
            return Ok(trial);
        }
        let choice = Choice::new(set, wanted.avoid, now);
        let endpoint = match self.choose(&choice, wanted.hash) {
            Some(endpoint) => endpoint,
            None => self.choose_again(&choice, wanted.hash)?,
        };
        Ok(Picked {
            endpoint: endpoint.clone(),
            trial: None,
        })
    }

    #[inline]
    fn choose<'a>(&mut self, choice: &Choice<'a>, hash: Option<u64>) -> Option<&'a Arc<Endpoint>> {
        let set = choice.set;
        if let Algorithm::ConsistentHash = self.algorithm {
            let hash = hash.unwrap_or_else(|| self.random.u64(..));
            return consistent_hash::choose(set, choice, hash);
        }
        let first = if set.stays_local(&mut self.random) {
            Place::Local
        } else {
            Place::Others
        };
        let (place, index) = match self.choose_in(first, choice) {
            Some(index) => (first, index),
            None => (first.other(), self.choose_in(first.other(), choice)?),
        };
        let group = set.group(place);
        group.members.get(index).map(|member| &member.endpoint)
    }

    // All that are left have been tried before, or the snapshot is no longer true.
    #[cold]
    fn choose_again<'a>(
        &mut self,
        choice: &Choice<'a>,
        hash: Option<u64>,
    ) -> Result<&'a Arc<Endpoint>, NoneAvailable> {
        let set = choice.set;
        let choice = Choice::new(set, &[], choice.now);
        if let Some(endpoint) = self.choose(&choice, hash) {
            return Ok(endpoint);
        }
        let begin = self.random.usize(..set.len().max(1));
        (begin..set.len())
            .chain(0..begin)
            .map(|index| &set.members[index])
            .find(|member| choice.admits(member))
            .map(|member| &member.endpoint)
            .ok_or(NoneAvailable { total: set.len() })
    }

    #[inline]
    fn choose_in(&mut self, place: Place, choice: &Choice<'_>) -> Option<usize> {
        let group = choice.set.group(place);
        if group.len() < 2 {
            let member = group.members.first()?;
            return choice.admits(member).then_some(0);
        }
        let random = &mut self.random;
        match &mut self.algorithm {
            Algorithm::RoundRobin(turns) => turns.of(place).next(group, choice, random),
            Algorithm::Weighted(turns) => turns.of(place).next_scheduled(group, choice, random),
            Algorithm::LeastRequest => {
                two_choices::choose(group, choice, random, least_request::cost)
            }
            Algorithm::PeakEwma => two_choices::choose(group, choice, random, |member| {
                peak_ewma::cost(member, choice.now)
            }),
            // Has been dealt with: it does not go by groups.
            Algorithm::ConsistentHash => None,
        }
    }
}

impl fmt::Debug for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balancer")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// What an algorithm needs to have worked out in the snapshot.
pub(super) fn needs(config: &model::Balancer) -> Needs {
    match config {
        model::Balancer::Weighted => Needs::Schedule,
        model::Balancer::LeastRequest | model::Balancer::PeakEwma => Needs::Draws,
        model::Balancer::RoundRobin | model::Balancer::ConsistentHash(_) => Needs::Nothing,
    }
}

/// One request's choice.
struct Choice<'a> {
    set: &'a EndpointSet,
    avoid: &'a [EndpointId],
    barred: u32,
    is_anyone_slow: bool,
    now: Moment,
}

impl<'a> Choice<'a> {
    #[inline]
    fn new(set: &'a EndpointSet, avoid: &'a [EndpointId], now: Moment) -> Self {
        Self {
            set,
            avoid,
            // If too few are well, all are used.
            barred: if set.is_panicking() {
                DRAINING
            } else {
                UNHEALTHY | OUT | HELD | DRAINING
            },
            is_anyone_slow: now < set.slow_until,
            now,
        }
    }

    /// Whether the request may go there. Asked of those that were available when the snapshot was made, too: one may be so no more.
    #[inline]
    fn admits(&self, member: &Member) -> bool {
        member.endpoint.flags() & self.barred == 0
            && (self.avoid.is_empty() || !self.avoid.contains(&member.endpoint.id()))
    }

    /// Whether it should rather go elsewhere, because the endpoint is to begin slowly.
    #[inline]
    fn spares(&self, member: &Member, random: &mut fastrand::Rng) -> bool {
        self.is_anyone_slow && random.f64() >= self.slow_factor(member)
    }

    #[cold]
    fn slow_factor(&self, member: &Member) -> f64 {
        member.endpoint.slow_factor(self.set.slow_start, self.now)
    }
}
