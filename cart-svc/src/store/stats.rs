//! Counts of the writer's work.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the writer has done since it started; the same numbers go to the metrics.
#[derive(Debug, Default)]
pub struct Stats {
    commits: AtomicU64,
    added: AtomicU64,
    failed: AtomicU64,
}

const COMMITS: &str = "cart_store_commits_total";
const ADDED: &str = "cart_store_added_total";
const FAILED: &str = "cart_store_failed_total";

impl Stats {
    /// Transactions committed.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Adds that happened, without replays.
    pub fn added(&self) -> u64 {
        self.added.load(Ordering::Relaxed)
    }

    /// Commands that the database failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn describe() {
        metrics::describe_counter!(COMMITS, "Transactions committed by the cart store");
        metrics::describe_counter!(ADDED, "Items added to carts");
        metrics::describe_counter!(FAILED, "Commands that the cart's database failed");
        for name in [COMMITS, ADDED, FAILED] {
            metrics::counter!(name).absolute(0);
        }
    }

    pub(super) fn count(&self, commits: u64, added: u64, failed: u64) {
        self.commits.fetch_add(commits, Ordering::Relaxed);
        self.added.fetch_add(added, Ordering::Relaxed);
        self.failed.fetch_add(failed, Ordering::Relaxed);
        metrics::counter!(COMMITS).increment(commits);
        metrics::counter!(ADDED).increment(added);
        metrics::counter!(FAILED).increment(failed);
    }
}
