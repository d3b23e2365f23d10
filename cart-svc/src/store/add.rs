//! What one add does to the tables. It runs inside the writer's transaction, under a savepoint of its own.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    AddError, AddItem, Added, StoreError,
    reader::{failed, find_receipt, read_line},
};
use crate::domain::{Cents, Line, MAX_LINES, Receipt, Refusal, Timestamp, Totals, UserId};

/// At most this many expired keys are deleted in one transaction, so that a purge never shows as a pause.
const PURGE_LIMIT: i64 = 500;

/// Puts the item into its cart, remembers its key and leaves an event, or refuses.
pub(super) fn add(
    connection: &Connection,
    item: &AddItem,
    ttl: Duration,
) -> Result<Added, AddError> {
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

/// Deletes keys that were created before `oldest`.
pub(super) fn purge(connection: &Connection, oldest: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM idempotency_keys WHERE (user_id, key) IN
                (SELECT user_id, key FROM idempotency_keys WHERE created_at_ms < ?1 ORDER BY created_at_ms LIMIT ?2)",
        )?
        .execute(params![oldest.millis(), PURGE_LIMIT])?;
    Ok(())
}
