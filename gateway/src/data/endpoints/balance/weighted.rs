//! One after the other, in proportion to weights.
//!
//! The order is worked out with the snapshot: the k-th turn (from 0) of a member of weight w is at (k + p) / w of the cycle, where p
//! is between 0 and 1, different for members of the same weight. So each gets exactly its weight's turns in a cycle, evenly spread:
//! weights 5, 1, 1 give a b a a a c a, at least as smooth as nginx's smooth round robin, without its search at each request.

use std::collections::BTreeMap;

/// Turns of a cycle at most. Weights whose sum, without a common divisor, is larger are rounded to it.
const MAX_TURNS: u64 = 4_096;

/// Whose turn it is, for a whole cycle.
pub(in super::super) fn schedule(weights: &[u32]) -> Box<[u32]> {
    let weights = turns(weights);
    let mut alike: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for (member, &weight) in (0..).zip(&weights) {
        alike.entry(weight).or_default().push(member);
    }
    let mut turns: Vec<(u64, u64, u32)> = Vec::new();
    for (weight, members) in alike {
        let count = members.len() as u64;
        for (rank, member) in (0..).zip(members) {
            // (k + (rank + 1/2) / count) / weight, as a fraction.
            turns.extend((0..weight).map(|turn| {
                let numerator = 2 * (turn * count + rank) + 1;
                (numerator, weight * count, member)
            }));
        }
    }
    turns.sort_by(|a, b| (a.0 * b.1, a.1, a.2).cmp(&(b.0 * a.1, b.1, b.2)));
    turns.iter().map(|turn| turn.2).collect()
}

// How many turns each gets.
fn turns(weights: &[u32]) -> Vec<u64> {
    let divisor = weights
        .iter()
        .fold(0, |divisor, &weight| gcd(divisor, weight))
        .max(1);
    let exact: Vec<u64> = weights
        .iter()
        .map(|&weight| u64::from(weight / divisor))
        .collect();
    let total: u64 = exact.iter().sum();
    let most = MAX_TURNS.max(exact.len() as u64);
    if total <= most {
        return exact;
    }
    exact
        .iter()
        .map(|&weight| ((weight * most + total / 2) / total).max(1))
        .collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(weights: &[u32]) -> String {
        schedule(weights)
            .iter()
            .map(|&member| char::from(b'a' + member as u8))
            .collect()
    }

    #[test]
    fn turns_are_spread_evenly() {
        assert_eq!(shown(&[5, 1, 1]), "abaaaca");
        assert_eq!(shown(&[4, 1, 1, 1, 1]), "abacadae");
        assert_eq!(shown(&[1, 1, 1]), "abc");
        assert_eq!(shown(&[2, 1]), "aba");
        assert_eq!(shown(&[30, 10]), "abaa");
        assert_eq!(shown(&[]), "");
    }

    #[test]
    fn huge_weights_are_rounded_to_a_bounded_cycle() {
        let schedule = schedule(&[65_535, 65_534, 1]);
        assert!(schedule.len() <= 4_097, "{}", schedule.len());
        let share = |member| schedule.iter().filter(|&&turn| turn == member).count();
        assert!(share(0).abs_diff(2_048) <= 1);
        assert!(share(1).abs_diff(2_048) <= 1);
        assert_eq!(share(2), 1);
    }

    proptest! {
        #[test]
        fn each_gets_exactly_its_weight_in_a_cycle_and_never_strays_far(
            weights in prop::collection::vec(1_u32..40, 1..12),
        ) {
            let schedule = schedule(&weights);
            let divisor = weights.iter().fold(0, |divisor, &weight| gcd(divisor, weight));
            let total: u32 = weights.iter().sum::<u32>() / divisor;
            prop_assert_eq!(schedule.len() as u32, total);
            let mut had = vec![0_u32; weights.len()];
            for (turn, &member) in (1_u32..).zip(&schedule) {
                had[member as usize] += 1;
                for (had, weight) in had.iter().zip(&weights) {
                    let due = f64::from(turn * (weight / divisor)) / f64::from(total);
                    let stray = (f64::from(*had) - due).abs();
                    prop_assert!(stray <= weights.len() as f64 / 2.0 + 1.0, "{stray}");
                }
            }
            for (had, weight) in had.iter().zip(&weights) {
                prop_assert_eq!(*had, weight / divisor);
            }
        }
    }
}
