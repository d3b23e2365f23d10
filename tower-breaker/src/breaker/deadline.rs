//! When the open wait ends.
//!
//! The state word has no room for a time, so the deadline has an atomic of its own. Whoever opens the circuit writes it and
//! then sets the word's "published" bit; readers look at it only after that, and until then simply refuse.
//!
//! A writer may be suspended just before its write, and the circuit forced on and opened again meanwhile: its late write
//! must not replace the newer deadline. So a writer swaps against a value that it read *before* it made sure that the
//! episode is still its own. A newer episode's write comes after that check, changes the value, and makes the swap fail.
//! (Two deadlines equal to the nanosecond would let it succeed; the circuit would then wait as long as the earlier opening
//! asked for. The model in `loom_tests` shows the rest.)

use crate::sync::{AtomicU64, Ordering};

pub(super) struct Deadline(AtomicU64);

impl Deadline {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Writes `until`, unless the episode is over. Gives whether it was written.
    pub(super) fn set(&self, until: u64, still_ours: impl Fn() -> bool) -> bool {
        let mut seen = self.get();
        // Each round that fails saw another late writer finish, and there are only so many of those.
        while still_ours() {
            match self
                .0
                .compare_exchange(seen, until, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(actual) => seen = actual,
            }
        }
        false
    }
}
