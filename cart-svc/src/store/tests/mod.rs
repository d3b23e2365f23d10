//! The promises in the store's module documentation, one file for each side of the boundary.

mod commands;
mod model;
mod transactions;
mod whole;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    AddError, AddItem, Added, StoreSettings, schema,
    writer::{Reply, Writer},
};
use crate::domain::{
    Cents, IdempotencyKey, Intent, Offer, Product, ProductId, Quantity, Timestamp, UserId,
};

const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// A directory of its own for each test, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "cart-store-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn settings(&self) -> StoreSettings {
        StoreSettings {
            path: self.0.join("carts.db"),
            queue: 1_024,
            max_batch: 256,
            busy_timeout: Duration::from_secs(30),
            idempotency_ttl: TTL,
            max_size: None,
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A command to add `quantity` of `product`, whose price is ten times its number.
fn item(user: &str, product: i64, quantity: i64) -> AddItem {
    let id = ProductId::new(product).unwrap();
    AddItem {
        intent: Intent {
            user: UserId::new(user).unwrap(),
            product: id,
            quantity: Quantity::new(quantity).unwrap(),
            key: None,
        },
        offer: Offer::live(Product {
            id,
            name: format!("product {product}"),
            price: Cents::new(product * 10).unwrap(),
        }),
        at: Timestamp::from_millis(1_000_000_000_000),
    }
}

fn keyed(key: &str, mut item: AddItem) -> AddItem {
    item.intent.key = IdempotencyKey::new(key);
    assert!(item.intent.key.is_some());
    item
}

fn later(by: Duration, mut item: AddItem) -> AddItem {
    item.at = Timestamp::from_millis(item.at.millis() + by.as_millis() as i64);
    item
}

fn memory() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection, "memory".as_ref()).unwrap();
    connection
}

fn writer(connection: Connection) -> Writer {
    Writer::new(connection, None, 256, TTL)
}

/// What to commit, and where the answers arrive.
#[allow(clippy::type_complexity)]
fn batch(
    items: impl IntoIterator<Item = AddItem>,
) -> (
    Vec<(Box<AddItem>, Reply)>,
    Vec<oneshot::Receiver<Result<Added, AddError>>>,
) {
    items
        .into_iter()
        .map(|item| {
            let (reply, answer) = oneshot::channel();
            ((Box::new(item), reply), answer)
        })
        .unzip()
}

/// Commits the items in one transaction.
fn commit(
    writer: &mut Writer,
    items: impl IntoIterator<Item = AddItem>,
) -> Vec<Result<Added, AddError>> {
    let (batch, answers) = batch(items);
    writer.commit_batch(batch);
    answers
        .into_iter()
        .map(|mut answer| answer.try_recv().unwrap())
        .collect()
}

fn count(connection: &Connection, table: &str) -> i64 {
    connection
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get(0)
        })
        .unwrap()
}
