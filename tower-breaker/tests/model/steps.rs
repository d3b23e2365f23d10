//! Any sequence of steps.

use proptest::prelude::*;

/// Times are in milliseconds.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    Call,
    Trial,
    End(usize, Ending),
    Wait(u64),
    /// To the next moment at which something is over.
    ToDeadline,
    /// To a nanosecond before.
    BeforeDeadline,
    Manual(Manual),
    DryRun(bool),
    Health(bool),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ending {
    Success,
    Failure,
    FailureWithRetryAfter(u64),
    Ignore,
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Manual {
    ForceOpen,
    ForceOpenFor(u64),
    ForceClosed,
    ForceClosedFor(u64),
    Disable,
    Reset,
    HalfOpen,
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ending = prop_oneof![
        8 => Just(Ending::Success),
        9 => Just(Ending::Failure),
        2 => (0_u64..80).prop_map(Ending::FailureWithRetryAfter),
        2 => Just(Ending::Ignore),
        3 => Just(Ending::Drop),
    ];
    let manual = prop_oneof![
        1 => Just(Manual::ForceOpen),
        1 => (0_u64..30).prop_map(Manual::ForceOpenFor),
        1 => Just(Manual::ForceClosed),
        1 => (0_u64..30).prop_map(Manual::ForceClosedFor),
        1 => Just(Manual::Disable),
        2 => Just(Manual::Reset),
        3 => Just(Manual::HalfOpen),
    ];
    let step = prop_oneof![
        50 => Just(Step::Call),
        8 => Just(Step::Trial),
        60 => (0_usize..8, ending).prop_map(|(which, ending)| Step::End(which, ending)),
        20 => (0_u64..15).prop_map(Step::Wait),
        2 => (0_u64..500).prop_map(Step::Wait),
        10 => Just(Step::ToDeadline),
        4 => Just(Step::BeforeDeadline),
        5 => manual.prop_map(Step::Manual),
        1 => any::<bool>().prop_map(Step::DryRun),
        1 => any::<bool>().prop_map(Step::Health),
    ];
    prop::collection::vec(step, 0..250)
}
