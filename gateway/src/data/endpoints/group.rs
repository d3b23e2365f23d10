//! Endpoints to choose among, with what the choosing needs worked out.

use std::sync::Arc;

use super::{balance::weighted, endpoint::Endpoint};

/// An endpoint as a member of a snapshot.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) endpoint: Arc<Endpoint>,
    /// At least 1.
    pub(super) weight: u32,
    pub(super) zone: Option<Arc<str>>,
}

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the gateway's zone; everywhere, if zones do not matter.
    Local,
    /// In the other zones.
    Others,
}

impl Place {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Local => Self::Others,
            Self::Others => Self::Local,
        }
    }
}

/// What an algorithm needs besides the members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// An order in which each comes as often as its weight says.
    Schedule,
    /// A way to draw each as often as its weight says.
    Draws,
}

/// Members that a request may go to.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) members: Box<[Member]>,
    pub(super) schedule: Box<[u32]>,
    // `None` if all weights are equal.
    alias: Option<Box<[Alias]>>,
}

// Walker's alias method, as Vose builds it: a slot keeps its own member with this probability of 2^32, else it is the other.
#[derive(Debug, Clone, Copy)]
struct Alias {
    keep: u32,
    other: u32,
}

impl Group {
    pub(super) fn new(members: Vec<Member>, needs: Needs) -> Self {
        let weights: Vec<u32> = members.iter().map(|member| member.weight).collect();
        let schedule = match needs {
            Needs::Schedule => weighted::schedule(&weights),
            Needs::Nothing | Needs::Draws => Box::default(),
        };
        let are_equal = weights.windows(2).all(|pair| pair[0] == pair[1]);
        let alias = (needs == Needs::Draws && !are_equal).then(|| aliases(&weights));
        Self {
            members: members.into(),
            schedule,
            alias,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// One of the members, each as often as its weight says. There must be one.
    #[inline]
    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> usize {
        let bits = random.u64(..);
        let index = scaled(bits >> 32, self.members.len());
        match &self.alias {
            None => index,
            Some(alias) => alias[index].of(index, bits as u32),
        }
    }

    /// Another than the first: as the first, but if it would be the same one, any other. There must be two.
    #[inline]
    pub(super) fn draw_another(&self, random: &mut fastrand::Rng, first: usize) -> usize {
        let index = self.draw(random);
        if index != first {
            return index;
        }
        let other = scaled(u64::from(random.u32(..)), self.members.len() - 1);
        other + usize::from(other >= first)
    }

    /// Two different ones. There must be two.
    #[inline]
    pub(super) fn draw_two(&self, random: &mut fastrand::Rng) -> (usize, usize) {
        if self.alias.is_some() {
            let first = self.draw(random);
            return (first, self.draw_another(random, first));
        }
        let bits = random.u64(..);
        let first = scaled(bits >> 32, self.members.len());
        let other = scaled(bits & u64::from(u32::MAX), self.members.len() - 1);
        (first, other + usize::from(other >= first))
    }
}

impl Alias {
    #[inline]
    fn of(self, index: usize, coin: u32) -> usize {
        if coin < self.keep {
            index
        } else {
            self.other as usize
        }
    }
}

// Of 32 even bits a number below the bound. Not perfectly even: off by the bound in 2^32.
#[inline]
fn scaled(bits: u64, bound: usize) -> usize {
    ((bits * bound as u64) >> 32) as usize
}

fn aliases(weights: &[u32]) -> Box<[Alias]> {
    let n = weights.len() as u64;
    let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    // In units in which a full slot is `total`: exact.
    let mut left: Vec<u64> = weights
        .iter()
        .map(|&weight| u64::from(weight) * n)
        .collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|&index| left[index] < total);
    let mut aliases: Vec<Alias> = (0..weights.len() as u32)
        .map(|other| Alias {
            keep: u32::MAX,
            other,
        })
        .collect();
    while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
        let keep = (u128::from(left[poor]) << 32) / u128::from(total);
        aliases[poor] = Alias {
            keep: keep as u32,
            other: rich as u32,
        };
        left[rich] -= total - left[poor];
        if left[rich] < total {
            large.pop();
            small.push(rich);
        }
    }
    aliases.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_drawn_exactly_as_often_as_its_weight_says(
            weights in prop::collection::vec(1_u32..100_000, 1..50),
        ) {
            let aliases = aliases(&weights);
            let slots = weights.len() as f64;
            let mut share = vec![0.0; weights.len()];
            for (index, slot) in aliases.iter().enumerate() {
                // The largest is meant as always, and its other is itself.
                let keep = f64::from(slot.keep) / 4_294_967_296.0;
                share[index] += keep / slots;
                share[slot.other as usize] += (1.0 - keep) / slots;
            }
            let total: u32 = weights.iter().sum();
            for (share, weight) in share.iter().zip(&weights) {
                let expected = f64::from(*weight) / f64::from(total);
                prop_assert!((share - expected).abs() < 1e-9 , "{share} {expected}");
            }
        }
    }
}
