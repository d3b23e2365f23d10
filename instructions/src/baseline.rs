//! What was recorded, in `baseline.json`.

use std::{fs, path::Path, process::Command};

use serde::{Deserialize, Serialize};

use crate::{RECORD, counts::Counts};

#[derive(Serialize, Deserialize)]
pub struct Baseline {
    /// Another compiler counts otherwise, and the program says so when a count grew.
    pub rustc: String,
    pub instructions_per_call: Counts,
}

pub fn read(path: &Path) -> Result<Baseline, String> {
    let text = fs::read_to_string(path).map_err(|error| {
        format!(
            "cannot read {}: {error}; `{RECORD}` makes it",
            path.display()
        )
    })?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

pub fn write(path: &Path, counted: &Counts) -> Result<(), String> {
    let baseline = Baseline {
        rustc: rustc(),
        instructions_per_call: counted.clone(),
    };
    let mut text = serde_json::to_string_pretty(&baseline).map_err(|error| error.to_string())?;
    text.push('\n');
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The compiler that `cargo` uses, or nothing.
pub fn rustc() -> String {
    Command::new("rustc")
        .arg("--version")
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}
