//! Who does which work, and what it took.

use crate::measure::{Row, THREADS};

/// Kinds of work. Only within one of them are contenders compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// The floor, and the service with nothing around it.
    Nothing,
    Consecutive,
    Count,
    CountAndSlow,
    Time1k,
    Time10k,
    Time100k,
    Refusal,
    Limit,
    Timeout,
}

impl Work {
    pub fn title(self) -> &'static str {
        match self {
            Self::Nothing => "no guard",
            Self::Consecutive => "closed, failures in a row",
            Self::Count => "closed, failure rate of the last 100 calls",
            Self::CountAndSlow => "closed, failure and slow-call rate of the last 100 calls",
            Self::Time1k => "closed, failure rate over time, 1,000 calls in the window",
            Self::Time10k => "closed, failure rate over time, 10,000 calls in the window",
            Self::Time100k => "closed, failure rate over time, 100,000 calls in the window",
            Self::Refusal => "open, a call is refused",
            Self::Limit => "no breaker: a bound on concurrent calls",
            Self::Timeout => "no breaker: a time-out",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Floor,
    /// tower-breaker's row. At most one for each kind of work.
    Ours,
    Rival,
    /// Not the same work, and so not compared: its note says why.
    Beside,
}

pub struct Entry {
    pub work: Work,
    pub role: Role,
    /// The crate, as its registry knows it.
    pub package: &'static str,
    /// What is special about this row, or nothing.
    pub note: &'static str,
}

pub struct Outcome<'a> {
    pub entry: &'a Entry,
    /// One for each number of threads in [`THREADS`].
    pub rows: Vec<Row>,
}

impl Outcome<'_> {
    pub fn allocations(&self) -> f64 {
        self.rows
            .iter()
            .map(|row| row.allocations_per_call)
            .fold(0.0, f64::max)
    }
}

/// Ordered by work, ours first, then by time.
pub fn results(entries: &[Entry], rows: Vec<Row>) -> Vec<Outcome<'_>> {
    let mut rows = rows.into_iter();
    let mut results: Vec<_> = entries
        .iter()
        .map(|entry| Outcome {
            entry,
            rows: rows.by_ref().take(THREADS.len()).collect(),
        })
        .collect();
    results.sort_by(|a, b| {
        let key = |outcome: &Outcome<'_>| (outcome.entry.work, outcome.entry.role as u8);
        key(a)
            .cmp(&key(b))
            .then(a.rows[0].ns_per_call.total_cmp(&b.rows[0].ns_per_call))
    });
    results
}
