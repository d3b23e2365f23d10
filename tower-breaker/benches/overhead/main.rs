//! What a guard costs per call. `cargo bench -p tower-breaker` prints a table and writes `overhead.json` into the target
//! directory; `-- --quick` measures for a few seconds only, and `-- --only CASE` runs nothing else, for a profiler to look at.
//!
//! Every figure is a ratio to a *floor* that is measured in the same run: one `Instant::now()` and two atomic
//! read-modify-writes, which is about the least a guard that reads the time and keeps two counts can do. The time slices of all
//! cases are interleaved, so that whatever slows the machine down for a while slows all of them; slices in which another
//! program took a processor are left out; and the middle one of the others counts.

// A program for a terminal: it prints, and a broken set-up may end it.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod allocations;
mod bodies;
mod cases;
mod measure;
mod report;
mod work;

use std::{process::ExitCode, time::Duration};

use measure::Plan;
use work::Kind;

const USAGE: &str =
    "usage: cargo bench -p tower-breaker --bench overhead -- [--quick] [--only CASE]";

const FULL: Plan = Plan {
    rounds: 301,
    slice: Duration::from_millis(3),
};
const QUICK: Plan = Plan {
    rounds: 61,
    slice: Duration::from_millis(2),
};
// `cargo test --benches` runs benchmarks in a debug build, where only the allocations mean anything.
const SMOKE: Plan = Plan {
    rounds: 1,
    slice: Duration::from_millis(1),
};

fn main() -> ExitCode {
    let mut quick = false;
    let mut only = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => quick = true,
            "--only" => only = args.next(),
            // Cargo's own.
            "--bench" => {}
            "--help" | "-h" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            other => {
                eprintln!("overhead: unknown argument `{other}`\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let plan = match (cfg!(debug_assertions), quick) {
        (true, _) => SMOKE,
        (false, true) => QUICK,
        (false, false) => FULL,
    };

    let mut cases = cases::all();
    if let Some(name) = &only {
        cases.retain(|case| case.kind == Kind::Floor || case.name == name);
    }
    let rows = measure::run(&cases, plan);
    report::print(&rows);
    if only.is_some() {
        println!("\nNot written anywhere, since cases are missing.");
    } else if cfg!(debug_assertions) {
        println!("\nA debug build: the times mean nothing and were not written anywhere.");
    } else {
        match report::write(&rows) {
            Ok(path) => println!("\nWritten to {}", path.display()),
            Err(error) => {
                eprintln!("overhead: cannot write the results: {error}");
                return ExitCode::FAILURE;
            }
        }
    }

    let allocating: Vec<_> = rows
        .iter()
        .filter(|row| row.must_not_allocate && row.allocations_per_call > 0.0)
        .collect();
    for row in &allocating {
        let (case, threads, count) = (row.case, row.threads, row.allocations_per_call);
        eprintln!(
            "overhead: {case} with {threads} thread(s) allocates {count} times per call; it must not"
        );
    }
    if allocating.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
