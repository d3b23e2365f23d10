//! Windows over which rates are taken.

mod count;

pub(super) use self::count::{CountWindow, MAX_CALLS};

/// What a window holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: u32,
    pub(super) failures: u32,
}
