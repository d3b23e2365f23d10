//! The mutants, as cargo-mutants finds them.

use serde_json::Value;
use std::{path::Path, process::Command};

#[derive(Clone)]
pub struct Mutant {
    /// From 1: 0 is the code as it is.
    pub id: u32,
    pub file: String,
    pub name: String,
    pub genre: String,
    pub replacement: String,
    /// Line and column, from 1, of what is replaced.
    pub start: (usize, usize),
}

/// All mutants of the library that `.cargo/mutants.toml` does not exclude, whose names, which begin with the file, begin with one of `prefixes`.
pub fn list(root: &Path, prefixes: &[String]) -> Vec<Mutant> {
    let output = Command::new("cargo")
        .args(["mutants", "--list", "--json", "-p", "tower-breaker"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo mutants --list: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: Value = serde_json::from_slice(&output.stdout).expect("cargo-mutants writes JSON");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let number =
        |value: &Value| usize::try_from(value.as_u64().expect("a number")).expect("a small one");
    let all = found.as_array().expect("an array").iter();
    let all = all.enumerate().map(|(index, mutant)| Mutant {
        id: u32::try_from(index).expect("some thousands") + 1,
        file: text(&mutant["file"]),
        name: text(&mutant["name"]),
        genre: text(&mutant["genre"]),
        replacement: text(&mutant["replacement"]),
        start: (
            number(&mutant["span"]["start"]["line"]),
            number(&mutant["span"]["start"]["column"]),
        ),
    });
    let wanted = |one: &Mutant| {
        prefixes
            .iter()
            .position(|prefix| one.name.starts_with(prefix))
    };
    let mut all: Vec<_> = all
        .filter(|one| prefixes.is_empty() || wanted(one).is_some())
        .collect();
    // In the order that was asked for.
    all.sort_by_key(wanted);
    all
}
