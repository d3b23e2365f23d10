//! Carts in one SQLite file: a writer thread and a reader thread, each owning its connection.

use std::{path::Path, sync::Arc, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::{
    AddError, AddItem, Added, OpenError, Stats, StoreError, StoreSettings,
    files::Files,
    reader::{Reader, ReaderHandle},
    schema,
    writer::{Writer, WriterHandle},
};
use crate::domain::{Cart, Intent, Timestamp, UserId};

/// A handle on the two threads. Clones share them.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: WriterHandle,
    reader: ReaderHandle,
}

impl SqliteStore {
    /// Opens or creates the file, brings its schema up to date and starts the threads. Blocks.
    pub fn open(settings: &StoreSettings) -> Result<SqliteStore, OpenError> {
        let sqlite = |source| OpenError::Sqlite {
            path: settings.path.clone(),
            source,
        };

        let mut write = open_connection(
            &settings.path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            settings.busy_timeout,
        )
        .map_err(sqlite)?;
        schema::migrate(&mut write, &settings.path)?;
        // Readers never wait for the writer, nor it for them.
        let journal: String = write
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
            .map_err(sqlite)?;
        if journal != "wal" {
            return Err(OpenError::NoWriteAheadLog {
                path: settings.path.clone(),
                journal,
            });
        }
        // NORMAL would acknowledge commits that a power cut can still take back.
        write
            .pragma_update(None, "synchronous", "FULL")
            .map_err(sqlite)?;
        if let Some(bytes) = settings.max_size {
            let page: i64 = write
                .pragma_query_value(None, "page_size", |row| row.get(0))
                .map_err(sqlite)?;
            write
                .pragma_update_and_check(
                    None,
                    "max_page_count",
                    (bytes / page.max(1)).max(1),
                    |_| Ok(()),
                )
                .map_err(sqlite)?;
        }

        let read = open_connection(
            &settings.path,
            OpenFlags::SQLITE_OPEN_READ_ONLY,
            settings.busy_timeout,
        )
        .map_err(sqlite)?;

        let writer = Writer::new(
            write,
            Some(Files::of(&settings.path)),
            settings.max_batch,
            settings.idempotency_ttl,
        )
        .spawn(settings.queue)?;
        let reader = Reader::new(read, settings.idempotency_ttl).spawn(settings.queue)?;
        Ok(SqliteStore { writer, reader })
    }

    /// Puts an item into a cart. Answers when that is on disk.
    ///
    /// Dropping the future does not take the command back: it may be in a transaction already.
    pub async fn add(&self, item: AddItem) -> Result<Added, AddError> {
        self.writer.add(item).await
    }

    /// The stored answer to `intent`, if its key was used before. Refuses a key that was used for something else.
    pub async fn replay(&self, intent: &Intent, now: Timestamp) -> Result<Option<Added>, AddError> {
        match &intent.key {
            Some(_) => self.reader.replay(intent.clone(), now).await,
            None => Ok(None),
        }
    }

    /// A user's cart; empty when there is none.
    pub async fn cart(&self, user: UserId) -> Result<Cart, StoreError> {
        self.reader.cart(user).await
    }

    /// What the writer has done so far.
    pub fn stats(&self) -> Arc<Stats> {
        self.writer.stats()
    }

    /// Finishes what was submitted, folds the log into the file and ends the writer. Later calls get [`StoreError::Closed`].
    pub async fn close(&self) {
        self.writer.close().await;
    }
}

fn open_connection(
    path: &Path,
    flags: OpenFlags,
    busy_timeout: Duration,
) -> rusqlite::Result<Connection> {
    // Each connection stays on one thread: SQLite's own mutexes would be pure cost.
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(busy_timeout)?;
    Ok(connection)
}
