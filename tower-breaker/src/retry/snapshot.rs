use crate::striped::Striped;

/// What a policy has decided so far, all its copies together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Attempts that were made again, or are being waited for.
    pub retries: u64,
    /// Failures passed on because the call had been attempted as often as may be.
    pub out_of_attempts: u64,
    /// Failures passed on because the budget had not enough left.
    pub out_of_budget: u64,
    /// Failures passed on because the server asked for a longer wait than is heeded.
    pub asked_to_wait_too_long: u64,
    /// Failures passed on because the server forbade to make the call again.
    pub forbidden: u64,
    /// Refusals of guards further in, passed on.
    pub refused: u64,
    /// Attempts of requests that must not or cannot be sent twice. How they ended is not known.
    pub not_replayable: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Count {
    Retry,
    OutOfAttempts,
    OutOfBudget,
    AskedToWaitTooLong,
    Forbidden,
    Refused,
    NotReplayable,
}

pub(super) struct Counters(Striped<7>);

impl Counters {
    pub(super) fn new() -> Self {
        Self(Striped::new())
    }

    pub(super) fn add(&self, count: Count) {
        self.0.add(count as usize);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let sum = |count| self.0.sum(count as usize);
        Snapshot {
            retries: sum(Count::Retry),
            out_of_attempts: sum(Count::OutOfAttempts),
            out_of_budget: sum(Count::OutOfBudget),
            asked_to_wait_too_long: sum(Count::AskedToWaitTooLong),
            forbidden: sum(Count::Forbidden),
            refused: sum(Count::Refused),
            not_replayable: sum(Count::NotReplayable),
        }
    }
}
