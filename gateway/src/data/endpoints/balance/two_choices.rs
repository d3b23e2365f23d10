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
    let (mut first, mut second) = group.draw_two(random);
    let is_plain = !choice.is_anyone_slow
        && choice.admits(&group.members[first])
        && choice.admits(&group.members[second]);
    if !is_plain {
        (first, second) = draw_again(group, choice, random)?;
    }
    let (one, other) = (&group.members[first], &group.members[second]);
    Some(if cost(other) < cost(one) {
        second
    } else {
        first
    })
}

// If there is no second, the first is both.
#[cold]
#[inline(never)]
fn draw_again(
    group: &Group,
    choice: &Choice<'_>,
    random: &mut fastrand::Rng,
) -> Option<(usize, usize)> {
    let first = first(group, choice, random)?;
    let second = second(group, choice, random, first).unwrap_or(first);
    Some((first, second))
}

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
fn second(
    group: &Group,
    choice: &Choice<'_>,
    random: &mut fastrand::Rng,
    first: usize,
) -> Option<usize> {
    for _ in 0..DRAWS {
        let index = group.draw_another(random, first);
        let member = &group.members[index];
        if choice.admits(member) {
            return (!choice.spares(member, random)).then_some(index);
        }
    }
    look_for(group, choice, random, Some(first))
}

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
