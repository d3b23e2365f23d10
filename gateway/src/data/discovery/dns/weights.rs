//! Weights of SRV records as weights of endpoints.

/// A weight at most, as in an endpoint file: so many still add up.
const HEAVIEST: u64 = 1_000_000;
/// Divisible by 1 to 16: exact shares for any usual number of addresses.
const DIVISIBLE: u64 = 720_720;

/// Weights for the addresses of some targets, each given as its weight and its number of addresses, so that
///
/// - a target's share goes by its weight, however many addresses it has;
/// - weight 0 beside others gets a hundredth of what weight 1 does (RFC 2782: "a very small chance"), not nothing;
/// - weights stay as they are where neither of these makes a difference.
pub(super) fn weights(targets: &[(u16, usize)]) -> Vec<u32> {
    let some = targets.iter().any(|(weight, _)| *weight > 0);
    let none = targets.iter().any(|(weight, _)| *weight == 0);
    let scale = if some && none { 100 } else { 1 };
    let alike = targets.windows(2).all(|pair| pair[0].1 == pair[1].1);
    let shares = targets.iter().map(|&(weight, addresses)| {
        let weight = match weight {
            0 => 1,
            weight => u64::from(weight) * scale,
        };
        if alike {
            weight
        } else {
            weight * DIVISIBLE / addresses.max(1) as u64
        }
    });
    let shares: Vec<u64> = shares.collect();
    let common = if alike {
        1
    } else {
        shares.iter().copied().fold(0, gcd).max(1)
    };
    let largest = shares.iter().copied().max().unwrap_or(1) / common;
    let fit = |share: u64| {
        let share = share / common;
        let share = if largest > HEAVIEST {
            share * HEAVIEST / largest
        } else {
            share
        };
        u32::try_from(share.max(1)).unwrap_or(u32::MAX)
    };
    shares.into_iter().map(fit).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn weights_are_kept_where_they_can_be() {
        assert_eq!(weights(&[(60, 1), (40, 1)]), [60, 40]);
        assert_eq!(weights(&[(60, 2), (40, 2)]), [60, 40]);
        assert_eq!(weights(&[(0, 1), (0, 1)]), [1, 1]);
        assert!(weights(&[]).is_empty());
    }

    #[test]
    fn a_target_with_two_addresses_gets_no_more_than_its_share() {
        assert_eq!(weights(&[(10, 2), (10, 1)]), [1, 2]);
        assert_eq!(weights(&[(30, 3), (10, 1)]), [1, 1]);
    }

    #[test]
    fn weight_zero_is_little_beside_others() {
        assert_eq!(weights(&[(0, 1), (1, 1), (5, 1)]), [1, 100, 500]);
    }

    proptest! {
        #[test]
        fn each_is_at_least_one_and_they_add_up(targets in prop::collection::vec((any::<u16>(), 0..2000_usize), 0..40)) {
            for weight in weights(&targets) {
                prop_assert!((1..=1_000_000).contains(&weight));
            }
        }

        #[test]
        fn shares_are_those_of_the_records(targets in prop::collection::vec((1..200_u16, 1..8_usize), 1..6)) {
            let weights = weights(&targets);
            let total: f64 = weights.iter().zip(&targets).map(|(weight, (_, n))| f64::from(*weight) * *n as f64).sum();
            let wanted: f64 = targets.iter().map(|(weight, _)| f64::from(*weight)).sum();
            for (weight, (of, n)) in weights.iter().zip(&targets) {
                let share = f64::from(*weight) * *n as f64 / total;
                prop_assert!((share - f64::from(*of) / wanted).abs() < 0.001, "{targets:?}: {weights:?}");
            }
        }
    }
}
