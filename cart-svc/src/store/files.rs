//! Whether the files that are written to are still the ones that the next start will find.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The database and its log, as they were when they were opened.
///
/// SQLite goes on writing to files that were deleted or replaced under it, without an error. Those writes are gone with the process,
/// so nothing that went there may be acknowledged.
#[derive(Debug)]
pub(super) struct Files {
    database: Watched,
    log: Watched,
}

impl Files {
    /// The files of an open connection in write-ahead-log mode.
    pub(super) fn of(database: &Path) -> Files {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        Files {
            database: Watched::new(database.to_owned()),
            log: Watched::new(log.into()),
        }
    }

    /// After a commit: what is wrong with where it went.
    pub(super) fn check(&mut self) -> Result<(), String> {
        self.database.check()?;
        self.log.check()
    }
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    // The log may not exist before the first write.
    identity: Option<Identity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Watched {
    fn new(path: PathBuf) -> Watched {
        let identity = identity(&path).ok();
        Watched { path, identity }
    }

    fn check(&mut self) -> Result<(), String> {
        let found = identity(&self.path).map_err(|error| {
            format!(
                "{} was removed while in use: {error}; restart cart-svc",
                self.path.display()
            )
        })?;
        if *self.identity.get_or_insert(found) == found {
            Ok(())
        } else {
            Err(format!(
                "{} was replaced while in use; restart cart-svc",
                self.path.display()
            ))
        }
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok(Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
    })
}
