//! Windows over which rates are taken.
//!
//! A window holds the results of one closed episode of its circuit. Whoever records says so with the state word's generation,
//! and every window keeps the same discipline:
//!
//! 1. read the part of the window that is about to be changed,
//! 2. make sure that the state word is still of the episode to which the result belongs, with windows of its own,
//! 3. change it by a compare-and-swap that fails if it is no longer what was read.
//!
//! Beginning afresh changes what step 1 reads, and happens before the state word admits results of the new episode. So a
//! result either gets into the window of its own episode or into none.

mod count;
mod time;

pub(super) use self::count::{CountWindow, MAX_CALLS};
// The throttle has one too.
pub(crate) use self::time::TimeWindow;

/// A result, as the windows see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) failed: bool,
    pub(super) slow: bool,
}

/// What a window holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) calls: u32,
    pub(crate) failures: u32,
    pub(crate) slow: u32,
}
