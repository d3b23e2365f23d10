//! One after the other.

use super::{
    super::group::{Group, Member, Place},
    Choice,
};

/// Whose turn it is, in each of the two groups.
#[derive(Debug)]
pub(super) struct Turns {
    local: Turn,
    others: Turn,
}

#[derive(Debug)]
pub(super) struct Turn(usize);

impl Turns {
    /// Workers begin at different places, so that they do not all go to the same endpoint at once.
    pub(super) fn new(random: &mut fastrand::Rng) -> Self {
        let mut anywhere = || Turn(random.usize(..1 << 20));
        Self {
            local: anywhere(),
            others: anywhere(),
        }
    }

    pub(super) fn of(&mut self, place: Place) -> &mut Turn {
        match place {
            Place::Local => &mut self.local,
            Place::Others => &mut self.others,
        }
    }
}

impl Turn {
    /// Each member in its turn.
    #[inline]
    pub(super) fn next(
        &mut self,
        group: &Group,
        choice: &Choice<'_>,
        random: &mut fastrand::Rng,
    ) -> Option<usize> {
        self.next_of(group.len(), group, choice, random, |turn| turn)
    }

    /// Each member in its turns of the schedule.
    #[inline]
    pub(super) fn next_scheduled(
        &mut self,
        group: &Group,
        choice: &Choice<'_>,
        random: &mut fastrand::Rng,
    ) -> Option<usize> {
        self.next_of(group.schedule.len(), group, choice, random, |turn| {
            group.schedule[turn] as usize
        })
    }

    // A member that is passed over loses its turn to the next one. If all are to be spared, the first of them is not.
    #[inline]
    fn next_of(
        &mut self,
        turns: usize,
        group: &Group,
        choice: &Choice<'_>,
        random: &mut fastrand::Rng,
        member_at: impl Fn(usize) -> usize,
    ) -> Option<usize> {
        let mut spared = None;
        for _ in 0..turns {
            let turn = self.0.wrapping_add(1);
            self.0 = if turn < turns { turn } else { turn % turns };
            let index = member_at(self.0);
            let member: &Member = &group.members[index];
            if !choice.admits(member) {
                continue;
            }
            if !choice.spares(member, random) {
                return Some(index);
            }
            spared = spared.or(Some(index));
        }
        spared
    }
}
