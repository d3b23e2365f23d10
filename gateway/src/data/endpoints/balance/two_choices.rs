//! The power of two choices: two members are drawn at random, each as often as its weight says, and the better one is taken.
//!
//! Drawing two and comparing keeps the load nearly as even as looking at all (Mitzenmacher, "The power of two choices in
//! randomized load balancing", 2001), without all workers running to the one that looks best. At a tie the first drawn is taken, so
//! that an idle set is used in proportion to weights.

use super::{
    super::group::{Group, Member},
    Choice,
};

// So often it is drawn again, if what was drawn cannot be used. Then it is looked for.
const DRAWS: u32 = 4;

/// Chooses. The group must have two members at least.
#[inline]
pub(super) fn choose(
    group: &Group,
    choice: &Choice<'_>,
    random: &mut fastrand::Rng,
    cost: impl Fn(&Member) -> f64,
) -> Option<usize> {
    let first = first(group, choice, random)?;
    // There may be no second; then the first has won.
    let Some(second) = second(group, choice, random, first) else {
        return Some(first);
    };
    let (one, other) = (&group.members[first], &group.members[second]);
    Some(if cost(other) < cost(one) {
        second
    } else {
        first
    })
}

#[inline]
fn first(group: &Group, choice: &Choice<'_>, random: &mut fastrand::Rng) -> Option<usize> {
    for _ in 0..DRAWS {
        let index = group.draw(random);
        let member = &group.members[index];
        if choice.admits(member) && !choice.spares(member, random) {
            return Some(index);
        }
    }
    look_for(group, choice, random, None)
}

// One that is to be spared does not take part, so that what it gets is by its own turns.
#[inline]
fn second(
    group: &Group,
    choice: &Choice<'_>,
    random: &mut fastrand::Rng,
    first: usize,
) -> Option<usize> {
    for _ in 0..DRAWS {
        let mut index = group.draw(random);
        if index == first {
            // Any other.
            index += random.usize(1..group.len());
            if index >= group.len() {
                index -= group.len();
            }
        }
        let member = &group.members[index];
        if choice.admits(member) {
            return (!choice.spares(member, random)).then_some(index);
        }
    }
    look_for(group, choice, random, Some(first))
}

#[cold]
fn look_for(
    group: &Group,
    choice: &Choice<'_>,
    random: &mut fastrand::Rng,
    not: Option<usize>,
) -> Option<usize> {
    let begin = random.usize(..group.len());
    (begin..group.len())
        .chain(0..begin)
        .find(|&index| not != Some(index) && choice.admits(&group.members[index]))
}
