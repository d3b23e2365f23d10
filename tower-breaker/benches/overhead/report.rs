//! The table for people, and the file for programs.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use crate::measure::{Row, THREADS};

pub fn print(rows: &[Row]) {
    println!(
        "\nCost per call, as one caller sees it. floor = one Instant::now() + two atomic read-modify-writes.\n"
    );
    println!(
        "{:40}│{:^21}│{:^21}│{:^13}",
        "", "one thread", "two sharing one", ""
    );
    println!(
        "{:40}│{:>10}{:>9}  │{:>10}{:>9}  │{:>12}",
        "case", "ns", "× floor", "ns", "× floor", "allocations"
    );
    rule();
    let mut results = true;
    for case in rows.chunks(THREADS.len()) {
        if results && !case[0].is_result {
            results = false;
            rule();
        }
        print!("{:40}", case[0].case);
        for row in case {
            print!("│{:>10.1}{:>9.2}  ", row.ns_per_call, row.ratio_to_floor);
        }
        let allocations = case
            .iter()
            .map(|row| row.allocations_per_call)
            .fold(0.0, f64::max);
        println!("│{allocations:>12.2}");
    }
    println!(
        "\nBelow the second line, for comparison: tower's own, here with tokio's `test-util`, which slows its timer down."
    );
    let disturbed = rows.iter().filter(|row| row.is_disturbed).count();
    if disturbed > 0 {
        println!(
            "The machine was busy with something else: {disturbed} of {} figures are doubtful. Run it again.",
            rows.len()
        );
    }
}

fn rule() {
    println!("{0:─<40}┼{0:─<21}┼{0:─<21}┼{0:─<13}", "");
}

/// Writes the results and says where.
pub fn write(rows: &[Row]) -> io::Result<PathBuf> {
    let rows: Vec<_> = rows
        .iter()
        .filter(|row| row.is_result)
        .map(|row| {
            serde_json::json!({
                "case": row.case,
                "threads": row.threads,
                "ns_per_call": rounded(row.ns_per_call),
                "ratio_to_floor": rounded(row.ratio_to_floor),
                "allocations_per_call": row.allocations_per_call,
            })
        })
        .collect();
    let path = target_directory().join("overhead.json");
    let mut text = serde_json::to_string_pretty(&rows)?;
    text.push('\n');
    fs::write(&path, text)?;
    Ok(path)
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

// Cargo marks its target directory, and this program lies somewhere inside, wherever the configuration puts it.
fn target_directory() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    match program
        .ancestors()
        .find(|path| path.join("CACHEDIR.TAG").is_file())
    {
        Some(target) => target.to_owned(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}
