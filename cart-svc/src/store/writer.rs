//! The writer thread: owns the only writing connection and commits in groups.
//!
//! A commit costs a flush of the disk, whatever is in it. While one runs, commands pile up in the queue; the next transaction takes
//! them all. So the write rate grows with the load, and no command waits for more than two flushes. Inside the transaction
//! each command has a savepoint of its own: one that is refused is undone alone.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::{
    AddError, AddItem, Added, OpenError, StoreError,
    reader::{failed, find_receipt, read_line},
};
use crate::domain::{Cents, Line, MAX_LINES, Receipt, Refusal, Timestamp, Totals, UserId};

/// At most this many expired keys are deleted in one transaction, so that a purge never shows as a pause.
const PURGE_LIMIT: i64 = 500;

pub(super) type Reply = oneshot::Sender<Result<Added, AddError>>;

pub(super) enum Command {
    Add(Box<AddItem>, Reply),
    Close(oneshot::Sender<()>),
}

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

    fn describe() {
        metrics::describe_counter!(COMMITS, "Transactions committed by the cart store");
        metrics::describe_counter!(ADDED, "Items added to carts");
        metrics::describe_counter!(FAILED, "Commands that the cart's database failed");
        for name in [COMMITS, ADDED, FAILED] {
            metrics::counter!(name).absolute(0);
        }
    }

    fn count(&self, commits: u64, added: u64, failed: u64) {
        self.commits.fetch_add(commits, Ordering::Relaxed);
        self.added.fetch_add(added, Ordering::Relaxed);
        self.failed.fetch_add(failed, Ordering::Relaxed);
        metrics::counter!(COMMITS).increment(commits);
        metrics::counter!(ADDED).increment(added);
        metrics::counter!(FAILED).increment(failed);
    }
}

/// Sends commands to the thread.
#[derive(Debug, Clone)]
pub(super) struct WriterHandle {
    commands: mpsc::Sender<Command>,
    stats: Arc<Stats>,
}

impl WriterHandle {
    pub(super) async fn add(&self, item: AddItem) -> Result<Added, AddError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .try_send(Command::Add(Box::new(item), reply))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Busy {
                    capacity: self.commands.max_capacity(),
                },
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        answer.await.unwrap_or(Err(StoreError::Closed.into()))
    }

    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        // Waits for a place, unlike an add: closing must not be turned away. Either error means that the thread has ended.
        if self.commands.send(Command::Close(reply)).await.is_ok() {
            let _ = closed.await;
        }
    }

    pub(super) fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }
}

pub(super) struct Writer {
    connection: Connection,
    max_batch: usize,
    idempotency_ttl: Duration,
    stats: Arc<Stats>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        max_batch: usize,
        idempotency_ttl: Duration,
    ) -> Writer {
        Writer {
            connection,
            max_batch,
            idempotency_ttl,
            stats: Arc::default(),
        }
    }

    pub(super) fn spawn(self, queue: usize) -> Result<WriterHandle, OpenError> {
        let (commands, inbox) = mpsc::channel(queue);
        let stats = self.stats.clone();
        Stats::describe();
        thread::Builder::new()
            .name("cart-writer".into())
            .spawn(move || self.run(inbox))
            .map_err(|source| OpenError::Thread {
                name: "writer",
                source,
            })?;
        Ok(WriterHandle { commands, stats })
    }

    fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut closing = Vec::new();
        while let Some(first) = inbox.blocking_recv() {
            let batch = self.gather(first, &mut inbox, &mut closing);
            self.commit_batch(batch);
        }
        self.finish();
        for reply in closing {
            let _ = reply.send(());
        }
    }

    /// `first` and whatever else waits already, up to the limit.
    fn gather(
        &self,
        first: Command,
        inbox: &mut mpsc::Receiver<Command>,
        closing: &mut Vec<oneshot::Sender<()>>,
    ) -> Vec<(Box<AddItem>, Reply)> {
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Add(item, reply) => batch.push((item, reply)),
                Command::Close(reply) => {
                    // Submits are turned away from here on; what waits in the queue is still done.
                    inbox.close();
                    closing.push(reply);
                }
            }
            let room = batch.len() < self.max_batch;
            next = if room { inbox.try_recv().ok() } else { None };
        }
        batch
    }

    /// Applies the batch in one transaction and, once that is on disk, answers each command.
    pub(super) fn commit_batch(&mut self, mut batch: Vec<(Box<AddItem>, Reply)>) {
        // Whoever stopped waiting before the work began need not be served.
        batch.retain(|(_, reply)| !reply.is_closed());
        if batch.is_empty() {
            return;
        }

        let (items, replies): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        // A panic must not end the thread: every later write would fail. Unwinding drops the transaction, which rolls it back.
        let outcome =
            catch_unwind(AssertUnwindSafe(|| self.transact(&items))).unwrap_or_else(|_| {
                Err(StoreError::Failed(
                    "the writer panicked; the transaction was rolled back".into(),
                ))
            });

        match outcome {
            Ok(results) => {
                let added = results
                    .iter()
                    .filter(|result| matches!(result, Ok(added) if !added.replayed));
                let failed = results
                    .iter()
                    .filter(|result| matches!(result, Err(AddError::Store(_))));
                self.stats
                    .count(1, added.count() as u64, failed.count() as u64);
                for (reply, result) in replies.into_iter().zip(results) {
                    // The caller may be gone; the item is in the cart all the same.
                    let _ = reply.send(result);
                }
            }
            Err(error) => {
                tracing::error!(%error, commands = replies.len(), "carts were not written");
                self.stats.count(0, 0, replies.len() as u64);
                for reply in replies {
                    let _ = reply.send(Err(error.clone().into()));
                }
            }
        }
    }

    /// One result a command, none of them true before this returns `Ok`.
    fn transact(
        &mut self,
        items: &[Box<AddItem>],
    ) -> Result<Vec<Result<Added, AddError>>, StoreError> {
        let ttl = self.idempotency_ttl;
        let mut tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;

        let mut results = Vec::with_capacity(items.len());
        for item in items {
            let savepoint = tx.savepoint().map_err(failed)?;
            let result = add(&savepoint, item, ttl);
            match &result {
                Ok(_) => savepoint.commit().map_err(failed)?,
                Err(_) => drop(savepoint),
            }
            // A full disk or an I/O error can make SQLite roll back everything on its own; what came before is then undone too.
            if tx.is_autocommit() {
                return Err(match result {
                    Err(AddError::Store(error)) => error,
                    _ => StoreError::Failed("SQLite ended the transaction by itself".into()),
                });
            }
            results.push(result);
        }

        if let Some(now) = items.iter().map(|item| item.at).max() {
            purge(&tx, now.before(ttl)).map_err(failed)?;
        }
        tx.commit().map_err(failed)?;
        Ok(results)
    }

    /// Leaves one complete file behind, without a log beside it.
    fn finish(self) {
        if let Err(error) = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        {
            // Nothing is lost: the log is read at the next start.
            tracing::warn!(%error, "the cart database's log could not be folded into the file");
        }
    }
}

fn add(connection: &Connection, item: &AddItem, ttl: Duration) -> Result<Added, AddError> {
    let AddItem { intent, offer, at } = item;
    // Asked again here, inside the transaction: two requests with one key may both have seen nothing before.
    if let Some(earlier) = find_receipt(connection, intent, *at, ttl)? {
        return Ok(earlier);
    }

    let current = find_line(connection, item).map_err(failed)?;
    let is_new = current.is_none();
    let line = Line::plus(
        current,
        offer.product.clone(),
        offer.freshness.as_of(*at),
        intent.quantity,
    )?;
    if is_new && count_lines(connection, &intent.user).map_err(failed)? >= MAX_LINES {
        return Err(Refusal::CartFull.into());
    }

    put_line(connection, item, &line).map_err(failed)?;
    let totals = totals(connection, &intent.user).map_err(failed)?;
    let receipt = Receipt::new(
        intent.user.clone(),
        &line,
        intent.quantity,
        totals,
        offer.freshness,
    );
    let text = serde_json::to_string(&receipt)
        .map_err(|error| StoreError::Failed(format!("a receipt does not write: {error}")))?;
    remember(connection, item, &text).map_err(failed)?;
    announce(connection, item, &text).map_err(failed)?;
    Ok(Added {
        receipt,
        replayed: false,
    })
}

fn find_line(connection: &Connection, item: &AddItem) -> rusqlite::Result<Option<Line>> {
    connection
        .prepare_cached(
            "SELECT product_id, name, price_cents, quantity, recorded_at_ms FROM cart_lines WHERE user_id = ?1 AND product_id = ?2",
        )?
        .query_row(params![item.intent.user.as_str(), item.intent.product.get()], read_line)
        .optional()
}

fn count_lines(connection: &Connection, user: &UserId) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("SELECT count(*) FROM cart_lines WHERE user_id = ?1")?
        .query_row([user.as_str()], |row| {
            Ok(usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX))
        })
}

fn put_line(connection: &Connection, item: &AddItem, line: &Line) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO cart_lines (user_id, product_id, quantity, name, price_cents, recorded_at_ms, added_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (user_id, product_id) DO UPDATE SET
                quantity = excluded.quantity, name = excluded.name,
                price_cents = excluded.price_cents, recorded_at_ms = excluded.recorded_at_ms",
        )?
        .execute(params![
            item.intent.user.as_str(),
            item.intent.product.get(),
            line.quantity.get(),
            line.product.name,
            line.product.price.get(),
            line.recorded_at.millis(),
            item.at.millis(),
        ])?;
    Ok(())
}

fn totals(connection: &Connection, user: &UserId) -> rusqlite::Result<Totals> {
    connection
        .prepare_cached("SELECT count(*), sum(quantity), sum(quantity * price_cents) FROM cart_lines WHERE user_id = ?1")?
        .query_row([user.as_str()], |row| {
            Ok(Totals {
                lines: row.get(0)?,
                quantity: row.get::<_, i64>(1)?.unsigned_abs(),
                total: Cents::new(row.get(2)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(2, row.get(2)?))?,
            })
        })
}

fn remember(connection: &Connection, item: &AddItem, receipt: &str) -> rusqlite::Result<()> {
    let Some(key) = &item.intent.key else {
        return Ok(());
    };
    // REPLACE: an expired row may still wait for its purge.
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO idempotency_keys (user_id, key, fingerprint, receipt, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            item.intent.user.as_str(),
            key.as_str(),
            item.intent.fingerprint(),
            receipt,
            item.at.millis(),
        ])?;
    Ok(())
}

fn announce(connection: &Connection, item: &AddItem, payload: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO outbox (kind, user_id, payload, created_at_ms) VALUES ('item_added', ?1, ?2, ?3)")?
        .execute(params![item.intent.user.as_str(), payload, item.at.millis()])?;
    Ok(())
}

fn purge(connection: &Connection, oldest: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM idempotency_keys WHERE (user_id, key) IN
                (SELECT user_id, key FROM idempotency_keys WHERE created_at_ms < ?1 ORDER BY created_at_ms LIMIT ?2)",
        )?
        .execute(params![oldest.millis(), PURGE_LIMIT])?;
    Ok(())
}

#[cfg(test)]
impl Writer {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }
}
