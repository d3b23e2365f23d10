//! What adaptive limits do, played in virtual time: docs/img/adaptive-changes.svg and docs/img/adaptive-drift.svg. The bulkheads
//! are the real ones, on a clock that the program turns; the dependency is simulated. So the pictures are the same on every
//! machine and at every run.
//!
//! `cargo run --release -p tower-breaker --example adaptive` writes the pictures and prints what docs/guide/adaptive-limits.md
//! claims. With `-- --check` it writes nothing, and fails if a claim does not hold or a picture differs from the one that is
//! there. With `-- --json` it prints every second of every run.

#![allow(clippy::print_stdout)]

mod chance;
mod claims;
mod guard;
mod json;
mod picture;
mod published;
mod server;
mod worlds;

use std::{env, fs};

use tower_breaker::BoxError;

const CHANGES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../docs/img/adaptive-changes.svg"
);
const DRIFT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../docs/img/adaptive-drift.svg"
);

fn main() -> Result<(), BoxError> {
    let argument = env::args().nth(1);
    let (changes, constant, hangs) = (worlds::changes()?, worlds::constant()?, worlds::hangs()?);
    if argument.as_deref() == Some("--json") {
        print!(
            "{}",
            json::write(&[
                ("changes", &changes),
                ("constant", &constant),
                ("hangs", &hangs)
            ])
        );
        return Ok(());
    }

    let claims = claims::all(&changes, &constant, &hangs);
    for claim in &claims {
        println!("{} {}", if claim.holds { "ok " } else { "NOT" }, claim.text);
    }
    if claims.iter().any(|claim| !claim.holds) {
        return Err("not all that is claimed holds".into());
    }
    for (path, picture) in [
        (CHANGES, picture::changes(&changes)),
        (DRIFT, picture::drift(&constant)),
    ] {
        match argument.as_deref() {
            Some("--check") if fs::read_to_string(path)? == picture => {
                println!("up to date: {path}")
            }
            Some("--check") => return Err(format!("not what the library does now: {path}").into()),
            Some(other) => return Err(format!("unknown: {other}").into()),
            None => {
                fs::write(path, picture)?;
                println!("written: {path}");
            }
        }
    }
    Ok(())
}
