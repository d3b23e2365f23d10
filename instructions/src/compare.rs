//! Whether a path has grown.

use crate::{
    RECORD,
    baseline::{self, Baseline},
    counts::Counts,
};

/// By how much a path may grow.
const ALLOWED: f64 = 0.05;

/// Prints each path, and whether all is well.
pub fn report(baseline: &Baseline, counted: &Counts) -> bool {
    let recorded = &baseline.instructions_per_call;
    let (failures, shrunk) = judge(recorded, counted);
    println!(
        "{:28}{:>10}{:>10}{:>9}",
        "instructions per call", "recorded", "now", ""
    );
    for (path, now) in counted {
        match recorded.get(path) {
            Some(was) => println!(
                "{path:28}{was:>10.1}{now:>10.1}{:>+8.1}%",
                100.0 * (now / was - 1.0)
            ),
            None => println!("{path:28}{:>10}{now:>10.1}", "-"),
        }
    }
    for failure in &failures {
        eprintln!("\ninstructions: {failure}");
    }
    if !failures.is_empty() {
        let rustc = baseline::rustc();
        if rustc != baseline.rustc {
            eprintln!(
                "\nThe compiler is not the one of the record ({}): {rustc}. That alone can change the counts.",
                baseline.rustc
            );
        }
        eprintln!("\nIf it is meant to be so, record it: {RECORD}");
    } else if shrunk {
        println!("\nSome paths have become shorter. To keep them so: {RECORD}");
    }
    failures.is_empty()
}

fn judge(recorded: &Counts, counted: &Counts) -> (Vec<String>, bool) {
    let mut failures = Vec::new();
    let mut shrunk = false;
    for (path, was) in recorded {
        let Some(now) = counted.get(path) else {
            failures.push(format!("{path} was recorded, but not counted"));
            continue;
        };
        if *now > was * (1.0 + ALLOWED) {
            failures.push(format!(
                "{path} has grown by {:.1} %, from {was:.1} to {now:.1} instructions per call ({:.0} % are allowed)",
                100.0 * (now / was - 1.0),
                100.0 * ALLOWED,
            ));
        }
        shrunk |= *now < was * (1.0 - ALLOWED);
    }
    for (path, now) in counted {
        if !recorded.contains_key(path) {
            failures.push(format!(
                "{path} takes {now:.1} instructions per call, and none are recorded"
            ));
        }
    }
    (failures, shrunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, f64)]) -> Counts {
        of.iter()
            .map(|(path, count)| ((*path).to_owned(), *count))
            .collect()
    }

    #[test]
    fn more_than_a_twentieth_is_too_much() {
        let recorded = counts(&[("open", 100.0)]);
        assert!(judge(&recorded, &counts(&[("open", 105.0)])).0.is_empty());
        let (failures, _) = judge(&recorded, &counts(&[("open", 105.1)]));
        assert_eq!(
            failures,
            [
                "open has grown by 5.1 %, from 100.0 to 105.1 instructions per call (5 % are allowed)"
            ]
        );
    }

    #[test]
    fn a_path_that_shrank_is_told_and_allowed() {
        let (failures, shrunk) = judge(&counts(&[("open", 100.0)]), &counts(&[("open", 94.0)]));
        assert!(failures.is_empty() && shrunk);
    }

    #[test]
    fn every_path_is_recorded_and_counted() {
        let (failures, _) = judge(&counts(&[("open", 1.0)]), &counts(&[("closed", 1.0)]));
        assert_eq!(
            failures,
            [
                "open was recorded, but not counted",
                "closed takes 1.0 instructions per call, and none are recorded"
            ]
        );
    }
}
