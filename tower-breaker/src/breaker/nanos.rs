//! The nanoseconds from one instant to another, for less than it costs to subtract them.
//!
//! An [`Instant`] is seconds and nanoseconds, but the only way that the standard library has to them is a difference, a
//! [`Duration`], by two calls that are not inlined: 4 of the 32 ns that a reading of the clock takes on the machine of the
//! benchmarks. What is inlined is comparing and *hashing*; so the two numbers are taken from what an instant feeds a hasher.
//!
//! What that is, nothing promises. So it is tried out first, on instants a known time apart, and if it is anything but seconds and
//! nanoseconds, instants are subtracted after all. `tests::both_ways_agree` says so where this is built.

use std::{
    hash::{Hash, Hasher},
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

const UNTRIED: u8 = 0;
const WORKS: u8 = 1;
const FAILS: u8 = 2;

static HASHING: AtomicU8 = AtomicU8::new(UNTRIED);

const PER_SECOND: u64 = 1_000_000_000;
// So many seconds fit, in nanoseconds, and one more does.
const MAX_SECONDS: u64 = u64::MAX / PER_SECOND - 1;

/// From `origin` to `now`: zero if that is before, and no more than fits, 584 years.
#[inline]
pub(super) fn between(origin: Instant, now: Instant) -> u64 {
    if HASHING.load(Ordering::Relaxed) == WORKS {
        by_hashing(origin, now).unwrap_or_else(|| by_subtracting(origin, now))
    } else {
        by_subtracting(origin, now)
    }
}

/// The same, where it is not what usually happens.
#[cold]
pub(super) fn slowly_between(origin: Instant, now: Instant) -> u64 {
    between(origin, now)
}

/// An origin, where hashing is known to [work](hashing_works).
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    // In nanoseconds, from wherever instants count their seconds, and as often around as it takes.
    origin: u64,
}

impl Since {
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            origin: Fields::of(origin).total(),
        }
    }

    /// From the origin to `now`. `None` if that is before, or more than 292 years away. It takes what is more than twice that away
    /// for something nearer.
    #[inline]
    pub(super) fn quickly_to(self, now: Instant) -> Option<u64> {
        let nanos = Fields::of(now).total().wrapping_sub(self.origin);
        (nanos <= u64::MAX / 2).then_some(nanos)
    }
}

/// Whether an instant feeds a hasher seconds and nanoseconds.
pub(super) fn hashing_works() -> bool {
    if HASHING.load(Ordering::Relaxed) == UNTRIED {
        let found = if try_hashing(Instant::now()) {
            WORKS
        } else {
            FAILS
        };
        HASHING.store(found, Ordering::Relaxed);
    }
    HASHING.load(Ordering::Relaxed) == WORKS
}

// `None` if `now` is in an earlier second, or very far away.
#[inline]
fn by_hashing(origin: Instant, now: Instant) -> Option<u64> {
    let (from, to) = (Fields::of(origin), Fields::of(now));
    let seconds = to.seconds.wrapping_sub(from.seconds);
    (seconds < MAX_SECONDS).then(|| (seconds * PER_SECOND + to.nanos).saturating_sub(from.nanos))
}

#[cold]
#[inline(never)]
fn by_subtracting(origin: Instant, now: Instant) -> u64 {
    // The next one will know.
    hashing_works();
    let since = now.saturating_duration_since(origin);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn try_hashing(instant: Instant) -> bool {
    const TIMES: [Duration; 7] = [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(PER_SECOND / 2),
        Duration::from_nanos(PER_SECOND - 1),
        Duration::from_secs(1),
        Duration::from_nanos(86_400 * PER_SECOND + 123_456_789),
        Duration::from_secs(100 * 365 * 86_400),
    ];
    TIMES.into_iter().all(|time| {
        instant.checked_add(time).is_some_and(|later| {
            let fields = Fields::of(later);
            !fields.has_more
                && fields.nanos < PER_SECOND
                && by_hashing(instant, later).map(Duration::from_nanos) == Some(time)
        })
    })
}

/// What an instant feeds a hasher.
#[derive(Default)]
struct Fields {
    seconds: u64,
    nanos: u64,
    // Something else than one of each.
    has_more: bool,
}

impl Fields {
    #[inline]
    fn of(instant: Instant) -> Self {
        let mut fields = Self::default();
        instant.hash(&mut fields);
        fields
    }

    #[inline]
    fn total(self) -> u64 {
        self.seconds
            .wrapping_mul(PER_SECOND)
            .wrapping_add(self.nanos)
    }
}

impl Hasher for Fields {
    fn write(&mut self, _: &[u8]) {
        self.has_more = true;
    }

    #[inline]
    fn write_u32(&mut self, nanos: u32) {
        self.nanos = nanos.into();
    }

    #[inline]
    fn write_u64(&mut self, seconds: u64) {
        self.seconds = seconds;
    }

    #[inline]
    fn write_i64(&mut self, seconds: i64) {
        self.seconds = seconds as u64;
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const YEAR: u64 = 365 * 86_400;

    fn subtracted(origin: Instant, now: Instant) -> u64 {
        let since = now.saturating_duration_since(origin);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn here_it_is_not_subtracted() {
        assert!(try_hashing(Instant::now()));
        // Found out once, and known from then on.
        assert!(hashing_works());
        assert_eq!(HASHING.load(Ordering::Relaxed), WORKS);
    }

    #[test]
    fn seconds_and_nanoseconds_are_told_from_anything_else() {
        let mut fields = Fields::default();
        (7_i64, 9_u32).hash(&mut fields);
        assert_eq!((fields.seconds, fields.nanos), (7, 9));
        let mut fields = Fields::default();
        (7_u64, 9_u32).hash(&mut fields);
        assert_eq!((fields.seconds, fields.nanos), (7, 9));
        assert!(!fields.has_more);
        "7.9 s".hash(&mut fields);
        assert!(fields.has_more);
    }

    #[test]
    fn a_time_before_is_zero_and_one_too_far_away_the_most_that_fits() {
        let now = Instant::now();
        for earlier in [1, PER_SECOND - 1, PER_SECOND, 1_000 * PER_SECOND] {
            let later = now + Duration::from_nanos(earlier);
            assert_eq!(between(later, now), 0, "{earlier}");
        }
        let seconds = u64::MAX / PER_SECOND;
        for far in seconds - 2..seconds + 2 {
            let Some(later) = now.checked_add(Duration::from_secs(far)) else {
                continue;
            };
            assert_eq!(between(now, later), far.saturating_mul(PER_SECOND));
        }
    }

    proptest! {
        #[test]
        fn both_ways_agree(
            first in 0..1_000 * YEAR,
            second in prop_oneof![0..5_u64, 0..1_000 * YEAR],
            nanos in (0..PER_SECOND, 0..PER_SECOND),
            swapped in any::<bool>(),
        ) {
            let start = Instant::now();
            let a = start + Duration::from_secs(first) + Duration::from_nanos(nanos.0);
            let b = start + Duration::from_secs(first.saturating_add(second)) + Duration::from_nanos(nanos.1);
            let (a, b) = if swapped { (b, a) } else { (a, b) };
            prop_assert_eq!(between(a, b), subtracted(a, b));
            if HASHING.load(Ordering::Relaxed) == WORKS {
                if let Some(hashed) = by_hashing(a, b) {
                    prop_assert_eq!(hashed, subtracted(a, b));
                }
            }
        }

        #[test]
        fn the_quick_way_agrees_or_says_that_it_cannot(
            first in 0..1_000 * YEAR,
            nanos in prop_oneof![0..5 * PER_SECOND, 0..u64::MAX],
        ) {
            prop_assume!(hashing_works());
            let origin = Instant::now() + Duration::from_secs(first);
            let since = Since::new(origin);
            let later = origin + Duration::from_nanos(nanos);
            let fits = nanos <= u64::MAX / 2;
            prop_assert_eq!(since.quickly_to(later), fits.then_some(nanos));
            if fits && nanos > 0 {
                prop_assert_eq!(Since::new(later).quickly_to(origin), None);
            }
        }
    }
}
