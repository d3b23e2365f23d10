//! The same key to the same endpoint, as long as that is there.
//!
//! A ring (Karger and others, 1997): every endpoint stands at many points of it, which follow from its key alone, and a request goes to
//! the first point at or after its hash. An endpoint that joins or leaves moves only the keys of its own arcs, about 1/n of all; one that is
//! not available leaves its keys to the next points, which are many others', and has them again when it is back.
//!
//! Zones do not count here: they would send a key to another endpoint from each zone. Any request is good for a trial.

use std::sync::Arc;

use super::{
    super::{endpoint::Endpoint, group::Member, set::EndpointSet},
    Choice,
    hash::{hash_key, mix},
};

/// Points per weight. The shares of endpoints of equal weight are then within about 9 % of each other (one standard deviation).
const POINTS: u64 = 128;
/// Points of a ring at most, 12 MiB: with weights so large that there would be more, each has fewer.
const MAX_POINTS: u64 = 1 << 20;

/// If none of so many points in a row is of use, whoever is of use is looked for another way.
const MOST_LOOKED_AT: usize = 1 << 12;

/// The points, in order.
#[derive(Debug, Default)]
pub(in super::super) struct Ring {
    hashes: Box<[u64]>,
    /// Whose they are: places among the members.
    owners: Box<[u32]>,
}

impl Ring {
    pub(in super::super) fn new(members: &[Member]) -> Self {
        let total: u64 = members
            .iter()
            .map(|member| u64::from(member.weight) * POINTS)
            .sum();
        // Halved as a whole, so that small changes of the sum change nothing.
        let halvings = (0..63)
            .find(|halvings| total >> halvings <= MAX_POINTS)
            .unwrap_or(63);
        let mut points: Vec<(u64, u32)> =
            Vec::with_capacity((total >> halvings) as usize + members.len());
        for (owner, member) in (0_u32..).zip(members) {
            let count = ((u64::from(member.weight) * POINTS) >> halvings).max(1);
            let key = hash_key(member.endpoint.name().as_bytes());
            points.extend((0..count).map(|point| (mix(key.wrapping_add(mix(point))), owner)));
        }
        points.sort_unstable();
        Self {
            hashes: points.iter().map(|point| point.0).collect(),
            owners: points.iter().map(|point| point.1).collect(),
        }
    }

    // The owners of all points, from the first at or after the hash.
    #[inline]
    fn from(&self, hash: u64) -> impl Iterator<Item = usize> {
        let begin = self.hashes.partition_point(|&point| point < hash);
        let (before, after) = self.owners.split_at(begin);
        after.iter().chain(before).map(|&owner| owner as usize)
    }
}

/// The endpoint of a hash.
#[inline]
pub(super) fn choose<'a>(
    set: &'a EndpointSet,
    choice: &Choice<'_>,
    hash: u64,
) -> Option<&'a Arc<Endpoint>> {
    let ring = set.ring.as_ref()?;
    let mut spared = None;
    for owner in ring.from(hash).take(MOST_LOOKED_AT) {
        let member = &set.members[owner];
        if !choice.admits(member) {
            continue;
        }
        if !spares(choice, member, hash) {
            return Some(&member.endpoint);
        }
        spared = spared.or(Some(&member.endpoint));
    }
    spared
}

// Which keys come to an endpoint that begins slowly is a matter of the key, too: they come one after the other and stay.
#[inline]
fn spares(choice: &Choice<'_>, member: &Member, hash: u64) -> bool {
    choice.is_anyone_slow && {
        let place = (mix(hash) >> 11) as f64 / (1_u64 << 53) as f64;
        place >= choice.slow_factor(member)
    }
}
