//! The directory a run writes to.

use std::fs;
use std::path::PathBuf;

use crate::error::LabError;

pub struct Output {
    root: PathBuf,
    /// Databases of this run's services. Nobody wants them afterwards, so they go when the run ends.
    scratch: PathBuf,
}

impl Output {
    /// Makes sure, before anything is started, that results can be written.
    pub fn prepare(root: PathBuf) -> Result<Self, LabError> {
        let not_writable = |source| LabError::OutputNotWritable {
            path: root.clone(),
            source,
        };
        fs::create_dir_all(&root).map_err(not_writable)?;
        // Services are given paths inside, and they do not share the lab's idea of "here" for ever.
        let root = root.canonicalize().map_err(not_writable)?;
        let not_writable = |source| LabError::OutputNotWritable {
            path: root.clone(),
            source,
        };
        fs::create_dir_all(root.join("logs")).map_err(not_writable)?;
        fs::create_dir_all(root.join("config")).map_err(not_writable)?;
        let scratch = root.join(format!(".run-{}", std::process::id()));
        fs::create_dir_all(&scratch).map_err(not_writable)?;
        Ok(Self { root, scratch })
    }

    pub fn log(&self, process: &str) -> PathBuf {
        self.root.join("logs").join(format!("{process}.log"))
    }

    pub fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// The configuration a process is started with, left behind so that it can be read and run by hand.
    pub fn write_config(&self, process: &str, text: &str) -> Result<PathBuf, LabError> {
        self.write(&format!("config/{process}.toml"), text)
    }

    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, LabError> {
        let path = self.root.join(name);
        fs::write(&path, text).map_err(|source| LabError::Write {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// `target/lab` of the workspace the lab is run in; outside one, of the current directory.
pub fn default_root() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let workspace = here
        .ancestors()
        .find(|dir| dir.join("Cargo.lock").is_file());
    workspace.unwrap_or(&here).join("target").join("lab")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_below_a_file_is_refused_by_name() {
        let file = std::env::current_exe().unwrap();
        let error = Output::prepare(file.join("lab"))
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&*file.to_string_lossy()) && error.contains("--out"),
            "{error}"
        );
    }

    #[test]
    fn scratch_goes_with_the_run() {
        let root = std::env::temp_dir().join(format!("lab-output-{}", std::process::id()));
        let output = Output::prepare(root.clone()).unwrap();
        fs::write(output.scratch("carts.db"), "x").unwrap();
        let scratch = output.scratch("");
        drop(output);
        assert!(!scratch.exists());
        assert!(root.join("logs").is_dir());
        fs::remove_dir_all(root).unwrap();
    }
}
