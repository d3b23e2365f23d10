//! The table for people.

use crate::{
    entry::{Outcome, Role},
    versions,
};

pub fn print(results: &[Outcome<'_>]) {
    let versions = versions::locked();
    println!(
        "\nCost per call, as one caller sees it: readiness, call, and polling to the outcome. \
         floor = one Instant::now() + two atomic read-modify-writes.\n"
    );
    println!(
        "{:58}│{:^22}│{:^22}│{:^13}",
        "", "one thread", "two sharing one", "allocations"
    );
    println!(
        "{:58}│{:>11}{:>9}  │{:>11}{:>9}  │{:>12}",
        "", "ns", "× floor", "ns", "× floor", "per call"
    );
    let mut work = None;
    for outcome in results {
        let entry = outcome.entry;
        if work != Some(entry.work) {
            work = Some(entry.work);
            println!("{0:─<58}┼{0:─<22}┼{0:─<22}┼{0:─<13}", "");
            println!("{}", entry.work.title());
        }
        print!("{:58}", name(outcome, versions.get(entry.package).copied()));
        for row in &outcome.rows {
            let doubt = if row.is_disturbed { '?' } else { ' ' };
            print!(
                "│{:>11.1}{:>9.2}{doubt} ",
                row.ns_per_call, row.ratio_to_floor
            );
        }
        println!("│{:>12.2}", outcome.allocations());
    }
    if results
        .iter()
        .flat_map(|it| &it.rows)
        .any(|row| row.is_disturbed)
    {
        println!("\n? another program, or the other thread's late start, disturbed most slices.");
    }
    println!("= not compared, because it is not the same work.");
}

fn name(outcome: &Outcome<'_>, version: Option<&str>) -> String {
    let entry = outcome.entry;
    let mark = match entry.role {
        Role::Ours => '>',
        Role::Beside => '=',
        Role::Floor | Role::Rival => ' ',
    };
    let version = match (entry.role, version) {
        (Role::Rival | Role::Beside, Some(version)) => format!(" {version}"),
        _ => String::new(),
    };
    let comma = if entry.note.is_empty() { "" } else { ", " };
    format!("{mark} {}{version}{comma}{}", entry.package, entry.note)
}
