//! The power of two choices: two members are drawn at random, each as often as its weight says, and the better one is taken.
//!
//! Drawing two and comparing keeps the load nearly as even as looking at all (Mitzenmacher, "The power of two choices in
//! randomized load balancing", 2001), without all workers running to the one that looks best. At a tie the first drawn is taken, so
//! that an idle set is used in proportion to weights.

use super::{
    super::group::{Group, Member},
    Choice,
};

// So often it is drawn again, if what was drawn cannot be used. Then all are looked at.
const DRAWS: u32 = 4;

/// Chooses. The group must have two members at least.
#[inline]
pub(super) fn choose(
    group: &Group,
    choice: &Choice<'_>,
    random: &mut fastrand::Rng,
    cost: impl Fn(&Member) -> f64,
) -> Option<usize> {
    let Some(first) = draw(group, choice, random, None) else {
        return best(group, choice, random, cost);
    };
    // There may be no second; then the first has won.
    let Some(second) = draw(group, choice, random, Some(first)) else {
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
fn draw(
    group: &Group,
    choice: &Choice<'_>,
    random: &mut fastrand::Rng,
    not: Option<usize>,
) -> Option<usize> {
    for _ in 0..DRAWS {
        let mut index = group.draw(random);
        if not == Some(index) {
            if group.len() > 2 {
                continue;
            }
            index = 1 - index;
        }
        let member = &group.members[index];
        if !choice.admits(member) {
            continue;
        }
        if !choice.spares(member, random) {
            return Some(index);
        }
        if not.is_some() {
            // Drawn in its turn, and to be spared: it is not drawn until it must come.
            return None;
        }
    }
    None
}

#[cold]
fn best(
    group: &Group,
    choice: &Choice<'_>,
    random: &mut fastrand::Rng,
    cost: impl Fn(&Member) -> f64,
) -> Option<usize> {
    let begin = random.usize(..group.len());
    (begin..group.len())
        .chain(0..begin)
        .filter(|&index| choice.admits(&group.members[index]))
        .min_by(|&one, &other| cost(&group.members[one]).total_cmp(&cost(&group.members[other])))
}
