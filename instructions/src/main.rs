//! Compares what callgrind counted with what was recorded: `.ci/instructions` runs it.

// A program for a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod baseline;
mod compare;
mod counts;

use std::{fs, path::Path, process::ExitCode};

const USAGE: &str =
    "usage: instructions [--record] BASELINE COUNTS   (or simply .ci/instructions [--record])";

const RECORD: &str = ".ci/instructions --record";

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let record = args.iter().any(|arg| arg == "--record");
    args.retain(|arg| arg != "--record");
    let [baseline, counts] = args.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(record, Path::new(baseline), Path::new(counts)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("instructions: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(record: bool, baseline: &Path, counts: &Path) -> Result<bool, String> {
    let text = fs::read_to_string(counts)
        .map_err(|error| format!("cannot read {}: {error}", counts.display()))?;
    let counted = counts::read(&text)?;
    if record {
        baseline::write(baseline, &counted)?;
        println!("Recorded in {}:", baseline.display());
        for (path, count) in &counted {
            println!("  {path:28}{count:>10.1} instructions per call");
        }
        return Ok(true);
    }
    let baseline = baseline::read(baseline)?;
    Ok(compare::report(&baseline, &counted))
}
