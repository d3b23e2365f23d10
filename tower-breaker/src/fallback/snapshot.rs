use std::sync::Arc;

use crate::striped::Striped;

/// What a fallback has done so far. Calls that did not need it are not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The fallback's name.
    pub name: Arc<str>,
    /// Degraded answers given.
    pub degraded: u64,
    /// Calls to which the fallback had no answer either.
    pub failed: u64,
    /// Calls that would have needed it, but of whose request nothing was kept.
    pub not_kept: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Count {
    Degraded,
    Failed,
    NotKept,
}

/// What all services and calls of one layer share.
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    counts: Striped<3>,
}

impl Shared {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            counts: Striped::new(),
        }
    }

    pub(super) fn add(&self, count: Count) {
        self.counts.add(count as usize);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            name: Arc::clone(&self.name),
            degraded: self.counts.sum(Count::Degraded as usize),
            failed: self.counts.sum(Count::Failed as usize),
            not_kept: self.counts.sum(Count::NotKept as usize),
        }
    }
}
