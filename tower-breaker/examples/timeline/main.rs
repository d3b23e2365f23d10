//! Draws what a circuit does through an outage: docs/img/breaker-timeline.svg. The circuit is the real one, on a clock that
//! the program turns, so the picture is the same on every machine and at every run.
//!
//! `cargo run -p tower-breaker --example timeline` writes the picture (to the file named on the command line, if one is) and
//! prints the transitions. With `--check` it writes nothing, and fails if the picture differs from the one that is there.

#![allow(clippy::print_stdout)]

mod outage;
mod picture;

use std::{env, fs};

use tower_breaker::BoxError;

const PICTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../docs/img/breaker-timeline.svg"
);

fn main() -> Result<(), BoxError> {
    let argument = env::args().nth(1);
    let record = outage::play()?;
    print!("{record}");
    let picture = picture::draw(&record);
    match argument.as_deref() {
        Some("--check") if fs::read_to_string(PICTURE)? == picture => {
            println!("up to date: {PICTURE}")
        }
        Some("--check") => return Err(format!("not what the library does now: {PICTURE}").into()),
        path => {
            let path = path.unwrap_or(PICTURE);
            fs::write(path, picture)?;
            println!("written: {path}");
        }
    }
    Ok(())
}
