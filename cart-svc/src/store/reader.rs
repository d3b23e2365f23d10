//! The reader thread: owns a read-only connection, so that a slow disk never holds up the async runtime.

use std::{thread, time::Duration};

use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::{mpsc, oneshot};

use super::{AddError, Added, OpenError, StoreError};
use crate::domain::{
    Cart, Cents, Intent, Line, LineQuantity, Product, ProductId, Receipt, Refusal, Timestamp,
    UserId,
};

enum Query {
    Cart(UserId, oneshot::Sender<Result<Cart, StoreError>>),
    Replay(
        Box<Intent>,
        Timestamp,
        oneshot::Sender<Result<Option<Added>, AddError>>,
    ),
}

/// Sends queries to the thread. The thread ends when the last handle is gone.
#[derive(Debug, Clone)]
pub(super) struct ReaderHandle {
    queries: mpsc::Sender<Query>,
}

impl ReaderHandle {
    pub(super) async fn cart(&self, user: UserId) -> Result<Cart, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Query::Cart(user, reply))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(super) async fn replay(
        &self,
        intent: Intent,
        now: Timestamp,
    ) -> Result<Option<Added>, AddError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Query::Replay(Box::new(intent), now, reply))?;
        answer.await.unwrap_or(Err(StoreError::Closed.into()))
    }

    fn submit(&self, query: Query) -> Result<(), StoreError> {
        self.queries.try_send(query).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy {
                capacity: self.queries.max_capacity(),
            },
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }
}

pub(super) struct Reader {
    connection: Connection,
    idempotency_ttl: Duration,
}

impl Reader {
    pub(super) fn new(connection: Connection, idempotency_ttl: Duration) -> Reader {
        Reader {
            connection,
            idempotency_ttl,
        }
    }

    pub(super) fn spawn(self, queue: usize) -> Result<ReaderHandle, OpenError> {
        let (queries, inbox) = mpsc::channel(queue);
        thread::Builder::new()
            .name("cart-reader".into())
            .spawn(move || self.run(inbox))
            .map_err(|source| OpenError::Thread {
                name: "reader",
                source,
            })?;
        Ok(ReaderHandle { queries })
    }

    fn run(self, mut inbox: mpsc::Receiver<Query>) {
        // A caller that went away makes a send fail: its answer is nobody's.
        while let Some(query) = inbox.blocking_recv() {
            match query {
                Query::Cart(user, reply) => {
                    if !reply.is_closed() {
                        let _ = reply.send(read_cart(&self.connection, &user).map_err(failed));
                    }
                }
                Query::Replay(intent, now, reply) => {
                    if !reply.is_closed() {
                        let _ = reply.send(find_receipt(
                            &self.connection,
                            &intent,
                            now,
                            self.idempotency_ttl,
                        ));
                    }
                }
            }
        }
    }
}

/// A database error as callers see it.
pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// The receipt of an earlier write under the intent's key, younger than `ttl`.
pub(super) fn find_receipt(
    connection: &Connection,
    intent: &Intent,
    now: Timestamp,
    ttl: Duration,
) -> Result<Option<Added>, AddError> {
    let Some(key) = &intent.key else {
        return Ok(None);
    };
    let stored: Option<(String, String)> = connection
        .prepare_cached("SELECT fingerprint, receipt FROM idempotency_keys WHERE user_id = ?1 AND key = ?2 AND created_at_ms >= ?3")
        .and_then(|mut statement| {
            statement
                .query_row(
                    params![intent.user.as_str(), key.as_str(), now.before(ttl).millis()],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()
        })
        .map_err(failed)?;
    let Some((fingerprint, receipt)) = stored else {
        return Ok(None);
    };
    if fingerprint != intent.fingerprint() {
        return Err(Refusal::KeyReused.into());
    }
    let receipt: Receipt = serde_json::from_str(&receipt)
        .map_err(|error| StoreError::Failed(format!("a stored receipt does not read: {error}")))?;
    Ok(Some(Added {
        receipt,
        replayed: true,
    }))
}

pub(super) fn read_cart(connection: &Connection, user: &UserId) -> rusqlite::Result<Cart> {
    let lines = connection
        .prepare_cached(
            "SELECT product_id, name, price_cents, quantity, recorded_at_ms FROM cart_lines
             WHERE user_id = ?1 ORDER BY added_at_ms, product_id",
        )?
        .query_map([user.as_str()], read_line)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Cart { lines })
}

/// One line from the columns product_id, name, price_cents, quantity, recorded_at_ms.
pub(super) fn read_line(row: &Row<'_>) -> rusqlite::Result<Line> {
    Ok(Line {
        product: Product {
            id: ProductId::new(row.get(0)?)
                .ok_or(rusqlite::Error::IntegralValueOutOfRange(0, row.get(0)?))?,
            name: row.get(1)?,
            price: Cents::new(row.get(2)?)
                .ok_or(rusqlite::Error::IntegralValueOutOfRange(2, row.get(2)?))?,
        },
        quantity: LineQuantity::new(row.get(3)?)
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(3, row.get(3)?))?,
        recorded_at: Timestamp::from_millis(row.get(4)?),
    })
}
