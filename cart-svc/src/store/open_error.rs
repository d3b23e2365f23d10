//! Why there is no store.

use std::path::PathBuf;

use thiserror::Error;

/// Why a database could not be opened. The process does not start with one of these.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file is some other program's.
    #[error(
        "{} is a SQLite database of another program (application id {found:#x}); store.path must name a file of cart-svc or a new one",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its application id.
        found: i32,
    },
    /// A newer cart-svc wrote it.
    #[error(
        "{} has schema version {found}, this cart-svc knows versions up to {known}; start a newer cart-svc or name another store.path",
        path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The highest version known here.
        known: i64,
    },
    /// SQLite refused: missing directory, no permission, not a database, locked, disk.
    #[error("cannot open the cart database {} (store.path): {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file system cannot share memory between connections, as some network file systems cannot.
    #[error(
        "{} cannot have a write-ahead log, only {journal:?}; store.path must name a file on a local disk",
        path.display()
    )]
    NoWriteAheadLog {
        /// The file.
        path: PathBuf,
        /// The journal that SQLite chose instead.
        journal: String,
    },
    /// The operating system gave no thread.
    #[error("cannot start the store's {name} thread: {source}")]
    Thread {
        /// Which thread.
        name: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}
