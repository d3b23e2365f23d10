//! Where carts are kept. This module is the boundary: commands in, outcomes out, nothing of any database.
//!
//! What every backend promises:
//!
//! * A write is acknowledged only when it is durable. A write that was submitted and whose caller went away may or may not happen.
//! * A refused write changes nothing, and does not disturb writes around it.
//! * The same idempotency key with the same request gives the first answer again and changes nothing.
//! * Each write that happens leaves one row in the outbox, in the same transaction.
//! * No call blocks the async runtime, and no queue is unbounded: when the store is behind, callers are told at once.

mod add;
mod files;
mod open_error;
mod reader;
mod schema;
mod sqlite;
mod stats;
mod writer;

use std::{path::PathBuf, time::Duration};

use thiserror::Error;

pub use open_error::OpenError;
pub use sqlite::SqliteStore;
pub use stats::Stats;

use crate::domain::{Intent, Offer, Receipt, Refusal, Timestamp};

/// The store in use. PostgreSQL will be a second one behind the same methods.
pub type Store = SqliteStore;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// The database file; created when missing, its directory must exist.
    pub path: PathBuf,
    /// Commands that may wait for the writer (and as many for the reader); more are turned away.
    pub queue: usize,
    /// Most commands in one transaction.
    pub max_batch: usize,
    /// How long to wait for another process that holds the file's lock.
    pub busy_timeout: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency_ttl: Duration,
    /// The most bytes to which the database may grow, if bounded. Signed, because SQLite counts that way.
    pub max_size: Option<i64>,
}

/// The command to put an item into a cart.
#[derive(Debug, Clone)]
pub struct AddItem {
    /// What the user asked for.
    pub intent: Intent,
    /// The product as known now.
    pub offer: Offer,
    /// When; the store itself reads no clock.
    pub at: Timestamp,
}

/// A write that happened, now or when its idempotency key was first seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// What it did.
    pub receipt: Receipt,
    /// The answer is a stored one: this call changed nothing.
    pub replayed: bool,
}

/// Why a write did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddError {
    /// A rule of the cart forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the store could not serve a call. The text may name files: it is for logs, not for clients.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The queue is full; nothing was stored, and a later try may work.
    #[error("the store's queue of {capacity} commands is full")]
    Busy {
        /// The queue's capacity.
        capacity: usize,
    },
    /// The store is closing; nothing was stored.
    #[error("the store is closed")]
    Closed,
    /// The database failed; nothing was stored.
    #[error("the database failed: {0}")]
    Failed(String),
}

#[cfg(test)]
mod tests;
