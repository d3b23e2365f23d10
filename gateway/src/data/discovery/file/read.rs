//! Reading a file that somebody else may be replacing.

use std::{fs, io, io::Read, path::Path};

/// More than the most endpoints need, with comments.
const LARGEST: u64 = 1024 * 1024;

/// The whole file. What the path leads to is looked up afresh each time, so a rename over it, or a symbolic link that now
/// leads elsewhere (as Kubernetes swaps a config map), is seen like any other change.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe would keep the reader waiting for a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("is not a file"));
    }
    let mut content = Vec::new();
    fs::File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::other("is larger than 1 MiB"));
    }
    Ok(content)
}
