//! The threads, the queue and the file.

use rusqlite::TransactionBehavior;
use tokio::task::JoinSet;

use super::*;
use crate::store::{OpenError, Store, StoreError};

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let directory = Directory::new();
    let store = Store::open(&directory.settings()).unwrap();
    store.add(item("ann", 1, 2)).await.unwrap();
    assert_eq!(store.cart(user("ann")).await.unwrap().lines.len(), 1);
    store.close().await;

    let store = Store::open(&directory.settings()).unwrap();
    let cart = store.cart(user("ann")).await.unwrap();
    assert_eq!(cart.lines[0].quantity.get(), 2);
    assert_eq!(cart.lines[0].product.name, "product 1");
}

#[tokio::test]
async fn closing_does_what_is_queued_and_then_turns_away() {
    let directory = Directory::new();
    let store = Store::open(&directory.settings()).unwrap();
    // Holds the writer inside its first transaction, so that the rest is in the queue when the store closes.
    let mut other = Connection::open(directory.settings().path).unwrap();
    let lock = other
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();

    let mut adds = JoinSet::new();
    for product in 1..=20 {
        let store = store.clone();
        adds.spawn(async move { store.add(item("ann", product, 1)).await });
    }
    // One runtime thread: each spawned task runs up to its wait before this goes on.
    tokio::task::yield_now().await;
    let closing = tokio::spawn({
        let store = store.clone();
        async move { store.close().await }
    });
    tokio::task::yield_now().await;
    drop(lock);

    closing.await.unwrap();
    let results = adds.join_all().await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(
        store.add(item("ann", 1, 1)).await,
        Err(StoreError::Closed.into())
    );
    assert_eq!(count(&other, "cart_lines"), 20);
    assert!(store.stats().commits() < 20, "{}", store.stats().commits());
    store.close().await;
}

#[tokio::test]
async fn a_full_queue_turns_away_at_once_and_loses_nothing() {
    let directory = Directory::new();
    let settings = StoreSettings {
        queue: 4,
        max_batch: 2,
        ..directory.settings()
    };
    let store = Store::open(&settings).unwrap();
    let mut other = Connection::open(&settings.path).unwrap();
    let lock = other
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();

    let mut adds = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        adds.spawn(async move { store.add(item("ann", 1, 1)).await });
    }
    // Four in the queue and two in the writer's hands at most: the others are answered while the writer stands still.
    let mut refused = 0;
    while refused < 14 {
        assert_eq!(
            adds.join_next().await.unwrap().unwrap(),
            Err(StoreError::Busy { capacity: 4 }.into())
        );
        refused += 1;
    }
    drop(lock);

    let rest = adds.join_all().await;
    let stored = rest.iter().filter(|result| result.is_ok()).count();
    assert!(stored >= 4, "{rest:?}");
    let cart = store.cart(user("ann")).await.unwrap();
    assert_eq!(cart.lines[0].quantity.get() as usize, stored);
}

#[tokio::test]
async fn a_full_disk_fails_writes_and_reads_go_on() {
    let directory = Directory::new();
    let settings = StoreSettings {
        max_size: Some(256 << 10),
        ..directory.settings()
    };
    let store = Store::open(&settings).unwrap();
    let mut stored = 0;
    let error = loop {
        match store.add(item(&format!("user-{stored}"), 1, 1)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100_000);
    };
    assert!(
        matches!(&error, AddError::Store(StoreError::Failed(reason)) if reason.contains("full")),
        "{error}"
    );
    let last = format!("user-{}", stored - 1);
    assert_eq!(store.cart(user(&last)).await.unwrap().lines.len(), 1);
    assert!(
        store
            .cart(user(&format!("user-{stored}")))
            .await
            .unwrap()
            .lines
            .is_empty()
    );
    store.close().await;

    // With room again, the same file goes on.
    let store = Store::open(&directory.settings()).unwrap();
    assert_eq!(store.cart(user(&last)).await.unwrap().lines.len(), 1);
    store.add(item("ann", 1, 1)).await.unwrap();
}

#[tokio::test]
async fn a_locked_file_fails_the_write_after_its_wait() {
    let directory = Directory::new();
    let settings = StoreSettings {
        busy_timeout: Duration::from_millis(20),
        ..directory.settings()
    };
    let store = Store::open(&settings).unwrap();
    let mut other = Connection::open(&settings.path).unwrap();
    let lock = other
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    let result = store.add(item("ann", 1, 1)).await;
    assert!(
        matches!(result, Err(AddError::Store(StoreError::Failed(_)))),
        "{result:?}"
    );
    assert!(
        store.cart(user("ann")).await.unwrap().lines.is_empty(),
        "reads do not wait for the lock"
    );
    drop(lock);
    store.add(item("ann", 1, 1)).await.unwrap();
}

#[tokio::test]
async fn a_stored_answer_is_found_without_the_writer() {
    let directory = Directory::new();
    let store = Store::open(&directory.settings()).unwrap();
    let command = keyed("k", item("ann", 1, 2));
    assert_eq!(store.replay(&command.intent, command.at).await, Ok(None));
    let added = store.add(command.clone()).await.unwrap();

    let replayed = store
        .replay(&command.intent, command.at)
        .await
        .unwrap()
        .unwrap();
    assert!(replayed.replayed);
    assert_eq!(replayed.receipt, added.receipt);
    let expired = later(TTL + Duration::from_millis(1), command.clone()).at;
    assert_eq!(store.replay(&command.intent, expired).await, Ok(None));
    assert_eq!(
        store.replay(&item("ann", 1, 2).intent, command.at).await,
        Ok(None)
    );
}

#[test]
fn a_path_that_cannot_be_a_database_says_so() {
    let directory = Directory::new();
    let missing = StoreSettings {
        path: directory.0.join("no/such/carts.db"),
        ..directory.settings()
    };
    let error = Store::open(&missing).unwrap_err();
    assert!(matches!(error, OpenError::Sqlite { .. }), "{error:?}");
    assert!(error.to_string().contains("no/such/carts.db"), "{error}");

    std::fs::write(
        directory.settings().path,
        "this is a letter, not a database, and long enough to be looked at",
    )
    .unwrap();
    let error = Store::open(&directory.settings()).unwrap_err();
    assert!(error.to_string().contains("not a database"), "{error}");
}

#[tokio::test]
async fn what_goes_to_a_file_that_was_removed_or_replaced_is_not_acknowledged() {
    for suffix in ["", "-wal"] {
        for replaced in [false, true] {
            let directory = Directory::new();
            let store = Store::open(&directory.settings()).unwrap();
            store.add(item("ann", 1, 2)).await.unwrap();

            let mut path = directory.settings().path.into_os_string();
            path.push(suffix);
            std::fs::rename(&path, directory.0.join("moved")).unwrap();
            if replaced {
                std::fs::copy(directory.0.join("moved"), &path).unwrap();
            }
            let refused = store.add(item("ann", 1, 1)).await;
            assert!(
                matches!(refused, Err(AddError::Store(StoreError::Failed(_)))),
                "{path:?}, replaced: {replaced}: {refused:?}"
            );
            store.close().await;
        }
    }
}
