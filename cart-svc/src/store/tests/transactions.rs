//! Group commit: what a transaction takes in, and when its commands are answered.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use super::*;
use crate::{domain::Refusal, store::StoreError};

#[test]
fn many_commands_are_one_commit() {
    let mut writer = writer(memory());
    let results = commit(&mut writer, (1..=50).map(|product| item("ann", product, 1)));
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(writer.stats().commits(), 1);
    assert_eq!(writer.stats().added(), 50);
}

#[test]
fn nobody_is_answered_before_the_commit() {
    let mut connection = memory();
    let answers: Arc<Mutex<Vec<oneshot::Receiver<_>>>> = Arc::default();
    let committed = Arc::new(AtomicBool::new(false));
    {
        let (answers, committed) = (answers.clone(), committed.clone());
        let hook = move || {
            committed.store(true, Ordering::SeqCst);
            let mut answers = answers.lock().unwrap();
            // A hook must not panic; what it saw is asserted below. `true` turns the commit into a rollback.
            answers.iter_mut().any(|answer| answer.try_recv().is_ok())
        };
        connection.commit_hook(Some(hook)).unwrap();
    }
    let mut writer = writer(connection);
    let (batch, receivers) = batch([item("ann", 1, 1), item("bob", 2, 1)]);
    answers.lock().unwrap().extend(receivers);
    writer.commit_batch(batch);

    assert!(committed.load(Ordering::SeqCst));
    for mut answer in answers.lock().unwrap().drain(..) {
        assert!(answer.try_recv().unwrap().is_ok());
    }
}

#[test]
fn a_failed_commit_fails_every_command_and_stores_none() {
    let mut connection = memory();
    let broken = Arc::new(AtomicBool::new(true));
    let hook = {
        let broken = broken.clone();
        move || broken.load(Ordering::SeqCst)
    };
    connection.commit_hook(Some(hook)).unwrap();
    let mut writer = writer(connection);

    let results = commit(
        &mut writer,
        [item("ann", 1, 1), keyed("k", item("bob", 2, 1))],
    );
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Err(AddError::Store(StoreError::Failed(_))))),
        "{results:?}"
    );
    for table in ["cart_lines", "idempotency_keys", "outbox"] {
        assert_eq!(count(writer.connection(), table), 0, "{table}");
    }

    broken.store(false, Ordering::SeqCst);
    let results = commit(&mut writer, [item("ann", 1, 1)]);
    assert!(results[0].is_ok(), "the writer goes on: {results:?}");
}

#[test]
fn a_bad_command_is_undone_alone() {
    let mut writer = writer(memory());
    commit(&mut writer, [keyed("k", item("ann", 1, 1))]);
    for _ in 0..10 {
        commit(&mut writer, [item("ann", 2, 999)]);
    }

    let results = commit(
        &mut writer,
        [
            item("bob", 1, 1),
            item("ann", 2, 999),
            item("bob", 1, 2),
            keyed("k", item("ann", 1, 9)),
            item("bob", 1, 3),
        ],
    );
    assert!(matches!(
        results[1],
        Err(AddError::Refused(Refusal::LineFull { .. }))
    ));
    assert!(matches!(
        results[3],
        Err(AddError::Refused(Refusal::KeyReused))
    ));
    assert_eq!(results[4].as_ref().unwrap().receipt.item.quantity.get(), 6);
}

#[test]
fn a_statement_that_fails_midway_leaves_no_half_of_its_command() {
    let connection = memory();
    // The command's last statement fails for one user: its line and key are written by then.
    connection
        .execute_batch(
            "CREATE TRIGGER no_bob BEFORE INSERT ON outbox WHEN NEW.user_id = 'bob'
             BEGIN SELECT RAISE(ABORT, 'no bob'); END",
        )
        .unwrap();
    let mut writer = writer(connection);
    let results = commit(
        &mut writer,
        [
            item("ann", 1, 1),
            keyed("k", item("bob", 1, 1)),
            item("eve", 1, 1),
        ],
    );
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    assert!(matches!(
        results[1],
        Err(AddError::Store(StoreError::Failed(_)))
    ));
    assert_eq!(
        count(writer.connection(), "cart_lines WHERE user_id = 'bob'"),
        0
    );
    assert_eq!(count(writer.connection(), "idempotency_keys"), 0);
}

#[test]
fn when_sqlite_drops_the_transaction_the_whole_batch_fails() {
    let connection = memory();
    connection
        .execute_batch(
            "CREATE TRIGGER no_bob BEFORE INSERT ON outbox WHEN NEW.user_id = 'bob'
             BEGIN SELECT RAISE(ROLLBACK, 'as a full disk would'); END",
        )
        .unwrap();
    let mut writer = writer(connection);
    let results = commit(
        &mut writer,
        [item("ann", 1, 1), item("bob", 1, 1), item("eve", 1, 1)],
    );
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Err(AddError::Store(StoreError::Failed(_))))),
        "{results:?}"
    );
    assert_eq!(count(writer.connection(), "cart_lines"), 0);

    assert!(commit(&mut writer, [item("ann", 1, 1)])[0].is_ok());
}

#[test]
fn who_gave_up_before_the_work_began_is_not_served() {
    let mut writer = writer(memory());
    let (batch, mut answers) = batch([item("ann", 1, 1), item("bob", 1, 1)]);
    drop(answers.remove(0));
    writer.commit_batch(batch);
    assert_eq!(count(writer.connection(), "cart_lines"), 1);
    assert_eq!(writer.stats().added(), 1);
}
