//! The writer thread: owns the only writing connection and commits in groups.
//!
//! A commit costs a flush of the disk, whatever is in it. While one runs, commands pile up in the queue; the next transaction
//! takes them all. So the write rate grows with the load, and a command waits for about two flushes, unless more wait than fit
//! into one transaction. Inside the transaction each command has a savepoint of its own: one that is refused is undone alone.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{
    AddError, AddItem, Added, OpenError, Stats, StoreError,
    add::{add, purge},
    files::Files,
    reader::failed,
};

pub(super) type Reply = oneshot::Sender<Result<Added, AddError>>;

pub(super) enum Command {
    Add(Box<AddItem>, Reply),
    Close(oneshot::Sender<()>),
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
    /// `None` for a database in memory.
    files: Option<Files>,
    max_batch: usize,
    idempotency_ttl: Duration,
    stats: Arc<Stats>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        files: Option<Files>,
        max_batch: usize,
        idempotency_ttl: Duration,
    ) -> Writer {
        Writer {
            connection,
            files,
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
        if let Some(files) = &mut self.files {
            files.check().map_err(StoreError::Failed)?;
        }
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

#[cfg(test)]
impl Writer {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }
}
