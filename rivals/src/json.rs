//! The file for programs.

use std::{fs, io, path::Path};

use crate::{
    entry::{Outcome, Role},
    versions,
};

pub fn write(path: &Path, results: &[Outcome<'_>], quick: bool) -> io::Result<()> {
    let versions = versions::locked();
    let rows: Vec<_> = results
        .iter()
        .flat_map(|outcome| outcome.rows.iter().map(move |row| (outcome.entry, row)))
        .map(|(entry, row)| {
            serde_json::json!({
                "case": row.case,
                "work": entry.work.title(),
                "role": match entry.role {
                    Role::Floor => "floor",
                    Role::Ours => "ours",
                    Role::Rival => "rival",
                    Role::Beside => "not compared",
                },
                "package": entry.package,
                "version": versions.get(entry.package),
                "note": entry.note,
                "threads": row.threads,
                "ns_per_call": rounded(row.ns_per_call),
                "ratio_to_floor": rounded(row.ratio_to_floor),
                "allocations_per_call": row.allocations_per_call,
                "is_disturbed": row.is_disturbed,
            })
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&serde_json::json!({
        "quick": quick,
        "rows": rows,
    }))?;
    text.push('\n');
    fs::write(path, text)
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
