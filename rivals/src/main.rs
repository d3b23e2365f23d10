//! What a guarded call costs with tower-breaker and with every other circuit breaker for Rust, measured in one run.
//!
//! The measuring is that of `tower-breaker/benches/overhead`, file by file: the same service, the same polling by hand, the
//! same interleaved time slices, the same medians. Only who is measured differs.

// A program for a terminal: it prints, and a broken set-up may end it.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

#[path = "../../tower-breaker/benches/overhead/allocations.rs"]
mod allocations;
mod check;
mod contenders;
mod entry;
mod json;
#[path = "../../tower-breaker/benches/overhead/measure.rs"]
// It also says what the overhead bench writes into its file.
#[allow(dead_code)]
mod measure;
mod options;
mod table;
mod versions;
#[path = "../../tower-breaker/benches/overhead/work.rs"]
mod work;

use std::{process::ExitCode, time::Duration};

use measure::Plan;
use options::{Asked, Options};

const FULL: Plan = Plan {
    rounds: 301,
    slice: Duration::from_millis(3),
};
const QUICK: Plan = Plan {
    rounds: 61,
    slice: Duration::from_millis(2),
};

fn main() -> ExitCode {
    let options = match options::from(std::env::args().skip(1)) {
        Ok(Asked::Run(options)) => options,
        Ok(Asked::Help) => {
            println!("{}", options::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("rivals: {problem}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    if cfg!(debug_assertions) {
        eprintln!("rivals: a debug build's times mean nothing; use cargo run --release");
        return ExitCode::from(2);
    }
    run(&options)
}

fn run(options: &Options) -> ExitCode {
    let plan = if options.quick { QUICK } else { FULL };
    let (entries, cases): (Vec<_>, Vec<_>) = contenders::all().into_iter().unzip();
    let rows = measure::run(&cases, plan);
    let results = entry::results(&entries, rows);

    table::print(&results);
    if let Some(path) = &options.json {
        if let Err(error) = json::write(path, &results, options.quick) {
            eprintln!("rivals: cannot write {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
        println!("\nWritten to {}", path.display());
    }

    let verdict = check::of(&results);
    println!("\n{verdict}");
    match options.check && !verdict.holds() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
