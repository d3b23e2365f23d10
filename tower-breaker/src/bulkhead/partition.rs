//! Shares of a bulkhead: what partitions and priorities may have of it.

use std::sync::Arc;

use super::place::Priority;
use crate::Problem;

/// The most partitions a bulkhead may have. A call that waits or is refused looks at all of them.
pub(crate) const MAX_PARTITIONS: usize = 16;

// What adding up shares such as 0.1 and 0.7 may be off by.
const ROUNDING: f64 = 1e-9;

/// A part of a bulkhead's permits for one kind of calls, so that another kind cannot take them all.
///
/// Shares are of the limit, whatever it is, and follow it when it changes. Of the permits that nobody is guaranteed, which are the
/// common pool, every partition may borrow up to its own limit.
///
/// ```
/// use tower_breaker::{Bulkhead, bulkhead::Partition};
///
/// let bulkhead = Bulkhead::builder("stock")
///     .max_concurrent(10)
///     .partition(Partition::new("live").guaranteed(0.5))
///     .partition(Partition::new("batch").guaranteed(0.1).at_most(0.3))
///     .build()?;
/// let (live, batch) = (bulkhead.partition("live").unwrap(), bulkhead.partition("batch").unwrap());
///
/// // One guaranteed, two of the four of the common pool.
/// let _batch: Vec<_> = (0..3).map(|_| batch.try_acquire()).collect::<Result<_, _>>()?;
/// assert!(batch.try_acquire().is_err());
/// // Five guaranteed, and the other two of the pool.
/// let _live: Vec<_> = (0..7).map(|_| live.try_acquire()).collect::<Result<_, _>>()?;
/// assert!(live.try_acquire().is_err());
/// # Ok::<(), tower_breaker::BoxError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a partition does nothing until it is given to a builder"]
pub struct Partition {
    pub(super) name: Arc<str>,
    pub(super) guaranteed: f64,
    pub(super) at_most: f64,
}

impl Partition {
    /// A partition of this name that is guaranteed nothing and may borrow everything. The name may be any text but the empty one.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            guaranteed: 0.0,
            at_most: 1.0,
        }
    }

    /// The share of the permits that nobody else may take, even while they are idle: 0, the default, to 1. All partitions together
    /// may have no more than 1. In permits it is rounded down, so that there are never more guarantees than permits: a tenth of
    /// 5 permits is none.
    pub fn guaranteed(mut self, share: f64) -> Self {
        self.guaranteed = share;
        self
    }

    /// The share that it may have in all, with what it borrows: more than 0, and not less than it is guaranteed, to 1, which is the
    /// default. In permits it is rounded up, so that it is at least one.
    pub fn at_most(mut self, share: f64) -> Self {
        self.at_most = share;
        self
    }
}

pub(super) fn check(partitions: &[Partition], problems: &mut Vec<Problem>) {
    if partitions.len() > MAX_PARTITIONS {
        problems.push(Problem::new(
            "partition",
            format_args!("given {} times", partitions.len()),
            format_args!("at most {MAX_PARTITIONS} partitions"),
        ));
    }
    for (index, partition) in partitions.iter().enumerate() {
        let option = |field: &str| format!("partition[{index}].{field}");
        let name = &partition.name;
        if name.is_empty() {
            problems.push(Problem::new(
                option("name"),
                &**name,
                "any text but the empty one",
            ));
        } else if partitions[..index].iter().any(|other| other.name == *name) {
            problems.push(Problem::new(
                option("name"),
                &**name,
                "a name that no other partition has",
            ));
        }
        if !(0.0..=1.0).contains(&partition.guaranteed) {
            problems.push(Problem::new(
                option("guaranteed"),
                partition.guaranteed,
                "0 to 1",
            ));
        }
        if !(partition.at_most > 0.0 && partition.at_most <= 1.0) {
            problems.push(Problem::new(
                option("at_most"),
                partition.at_most,
                "more than 0, to 1",
            ));
        } else if partition.at_most < partition.guaranteed {
            let allowed = format!("no less than `guaranteed`, {}", partition.guaranteed);
            problems.push(Problem::new(option("at_most"), partition.at_most, allowed));
        }
    }
    let sum: f64 = partitions
        .iter()
        .map(|partition| partition.guaranteed)
        .sum();
    if sum > 1.0 + ROUNDING {
        problems.push(Problem::new(
            "partition.guaranteed",
            format_args!("{sum} in all"),
            "0 to 1 in all",
        ));
    }
}

fn rounded_down(share: f64, whole: usize) -> usize {
    ((share * whole as f64 + ROUNDING) as usize).min(whole)
}

fn rounded_up(share: f64, whole: usize) -> usize {
    ((share * whole as f64 - ROUNDING).ceil() as usize).min(whole)
}

/// A number of permits, or of places in the queue, divided among partitions.
pub(super) struct Division {
    whole: usize,
}

/// What one partition has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) guaranteed: usize,
    pub(super) at_most: usize,
}

impl Division {
    pub(super) const fn of(whole: usize) -> Self {
        Self { whole }
    }

    pub(super) fn part(&self, partition: &Partition) -> Part {
        let guaranteed = rounded_down(partition.guaranteed, self.whole);
        Part {
            guaranteed,
            at_most: rounded_up(partition.at_most, self.whole)
                .max(guaranteed)
                .max(self.whole.min(1)),
        }
    }

    /// What is guaranteed to nobody.
    pub(super) fn common<'a>(&self, partitions: impl Iterator<Item = &'a Partition>) -> usize {
        let guaranteed: usize = partitions
            .map(|partition| self.part(partition).guaranteed)
            .sum();
        // Rounding down keeps the sum within the whole as long as the shares are.
        self.whole.saturating_sub(guaranteed)
    }
}

/// How much of what it may take each priority may take, in 1/65,536.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PriorityShares([u32; 3]);

const WHOLE: u32 = 1 << 16;

impl PriorityShares {
    pub(super) const NONE: Self = Self([WHOLE; 3]);

    pub(super) fn set(&mut self, priority: Priority, share: f64) {
        self.0[priority as usize] = ((share * f64::from(WHOLE)) as u32).clamp(1, WHOLE);
    }

    pub(super) fn has_share(&self, priority: Priority) -> bool {
        self.0[priority as usize] != WHOLE
    }

    /// Its share of so many permits: rounded up, so that it is one at least, if there is one.
    #[inline]
    pub(super) fn of(&self, priority: Priority, permits: usize) -> usize {
        let share = u64::from(self.0[priority as usize]);
        (permits as u64 * share).div_ceil(u64::from(WHOLE)) as usize
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    fn partitions(shares: &[(f64, f64)]) -> Vec<Partition> {
        let partition = |(index, (guaranteed, at_most)): (usize, &(f64, f64))| {
            Partition::new(index.to_string())
                .guaranteed(*guaranteed)
                .at_most(*at_most)
        };
        shares.iter().enumerate().map(partition).collect()
    }

    #[test]
    fn guarantees_never_exceed_the_whole_and_are_exact_where_they_can_be() {
        let tenths = partitions(&[(0.1, 1.0); 10]);
        let uneven = partitions(&[(0.3, 0.5), (0.7, 0.7)]);
        for whole in (0..2_000).chain([99_999, 250_000]) {
            for partitions in [&tenths, &uneven] {
                let division = Division::of(whole);
                let sum: usize = partitions
                    .iter()
                    .map(|partition| division.part(partition).guaranteed)
                    .sum();
                assert!(sum <= whole);
                assert_eq!(division.common(partitions.iter()), whole - sum);
                if whole % 10 == 0 {
                    assert_eq!(sum, whole);
                }
            }
        }
        let part = Division::of(5).part(&uneven[0]);
        assert_eq!((part.guaranteed, part.at_most), (1, 3));
        let part = Division::of(1).part(&uneven[0]);
        assert_eq!((part.guaranteed, part.at_most), (0, 1));
    }

    #[test]
    fn a_priority_with_a_share_may_have_one_permit_at_least() {
        let mut shares = PriorityShares::NONE;
        shares.set(Priority::Low, 0.5);
        assert!(shares.has_share(Priority::Low) && !shares.has_share(Priority::High));
        for (permits, share) in [(0, 0), (1, 1), (2, 1), (10, 5), (250_000, 125_000)] {
            assert_eq!(shares.of(Priority::Low, permits), share);
            assert_eq!(shares.of(Priority::High, permits), permits);
        }
        // Not one more than is meant, for all the rounding.
        shares.set(Priority::Low, 0.6);
        assert_eq!(shares.of(Priority::Low, 10), 6);
        shares.set(Priority::Low, 0.7);
        assert_eq!(shares.of(Priority::Low, 10), 7);
    }
}
