//! The tables, and how an older file becomes a current one.

use super::OpenError;
use rusqlite::{Connection, TransactionBehavior};

/// Marks a file as ours ("CART"), so that another program's database is refused and not filled with our tables.
const APPLICATION_ID: i32 = 0x4341_5254;

/// Step n brings a file from version n to n + 1. Only ever append: released steps have run on files that we cannot see.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE cart_lines (
        user_id        TEXT    NOT NULL,
        product_id     INTEGER NOT NULL CHECK (product_id >= 1),
        quantity       INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 9999),
        name           TEXT    NOT NULL,
        price_cents    INTEGER NOT NULL CHECK (price_cents >= 0),
        recorded_at_ms INTEGER NOT NULL,
        added_at_ms    INTEGER NOT NULL,
        PRIMARY KEY (user_id, product_id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE idempotency_keys (
        user_id       TEXT    NOT NULL,
        key           TEXT    NOT NULL,
        fingerprint   TEXT    NOT NULL,
        receipt       TEXT    NOT NULL,
        created_at_ms INTEGER NOT NULL,
        PRIMARY KEY (user_id, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at_ms);

    CREATE TABLE outbox (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        kind          TEXT    NOT NULL,
        user_id       TEXT    NOT NULL,
        payload       TEXT    NOT NULL,
        created_at_ms INTEGER NOT NULL
    ) STRICT;
"];

/// Brings the open file up to the current version, all steps in one transaction.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &std::path::Path,
) -> Result<(), OpenError> {
    apply(connection, path, MIGRATIONS)
}

fn apply(
    connection: &mut Connection,
    path: &std::path::Path,
    steps: &[&str],
) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    };

    // Immediate: of two processes that start on one file, the second waits and then finds the work done.
    let tx = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sqlite)?;
    let application: i32 = tx
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(sqlite)?;
    let version: i64 = tx
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(sqlite)?;
    let objects: i64 = tx
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sqlite)?;

    let ours = application == APPLICATION_ID;
    let blank = application == 0 && version == 0 && objects == 0;
    if !ours && !blank {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            found: application,
        });
    }

    let done = match usize::try_from(version) {
        Ok(done) if done <= steps.len() => done,
        _ => {
            return Err(OpenError::TooNew {
                path: path.to_owned(),
                found: version,
                known: steps.len() as i64,
            });
        }
    };
    for step in &steps[done..] {
        tx.execute_batch(step).map_err(sqlite)?;
    }
    if done < steps.len() {
        tx.pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(sqlite)?;
        tx.pragma_update(None, "user_version", steps.len() as i64)
            .map_err(sqlite)?;
    }
    tx.commit().map_err(sqlite)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FILE: &str = "carts.db";

    fn version(connection: &Connection) -> i64 {
        connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn a_new_file_gets_every_step_and_a_current_one_none() {
        let mut db = Connection::open_in_memory().unwrap();
        apply(&mut db, Path::new(FILE), MIGRATIONS).unwrap();
        apply(&mut db, Path::new(FILE), MIGRATIONS).unwrap();
        assert_eq!(version(&db), MIGRATIONS.len() as i64);
    }

    #[test]
    fn an_older_file_gets_the_missing_steps_and_keeps_its_rows() {
        let mut db = Connection::open_in_memory().unwrap();
        apply(
            &mut db,
            Path::new(FILE),
            &["CREATE TABLE t (a INTEGER) STRICT"],
        )
        .unwrap();
        db.execute("INSERT INTO t VALUES (7)", []).unwrap();

        let steps = [
            "CREATE TABLE t (a INTEGER) STRICT",
            "ALTER TABLE t ADD COLUMN b TEXT",
        ];
        apply(&mut db, Path::new(FILE), &steps).unwrap();

        assert_eq!(version(&db), 2);
        let row: (i64, Option<String>) = db
            .query_row("SELECT a, b FROM t", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(row, (7, None));
    }

    #[test]
    fn a_failing_step_leaves_the_file_as_it_was() {
        let mut db = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE t (a INTEGER)", "CREATE TABLE t (a INTEGER)"];
        assert!(matches!(
            apply(&mut db, Path::new(FILE), &steps),
            Err(OpenError::Sqlite { .. })
        ));
        assert_eq!(version(&db), 0);
        let tables: i64 = db
            .query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))
            .unwrap();
        assert_eq!(tables, 0);
    }

    #[test]
    fn a_newer_file_is_refused_untouched() {
        let mut db = Connection::open_in_memory().unwrap();
        apply(&mut db, Path::new(FILE), MIGRATIONS).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        let error = apply(&mut db, Path::new(FILE), MIGRATIONS).unwrap_err();
        assert!(
            matches!(error, OpenError::TooNew { found: 99, .. }),
            "{error}"
        );
        assert_eq!(version(&db), 99);
    }

    #[test]
    fn another_programs_file_is_refused_untouched() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE bookmarks (url TEXT)")
            .unwrap();
        let error = migrate(&mut db, Path::new(FILE)).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        let tables: i64 = db
            .query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))
            .unwrap();
        assert_eq!(tables, 1);
    }
}
