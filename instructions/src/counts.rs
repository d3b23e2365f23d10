//! What gungraun writes: a line of JSON for each path.

use std::collections::BTreeMap;

use serde_json::Value;

/// Instructions per call, by path.
pub type Counts = BTreeMap<String, f64>;

// As in `benches/paths.rs`.
const CALLS: f64 = 1_000.0;

const INSTRUCTIONS: &str = "/profiles/0/data/total/metrics/Ir/values";

pub fn read(text: &str) -> Result<Counts, String> {
    let counts: Counts = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(one)
        .collect::<Result<_, _>>()?;
    match counts.is_empty() {
        true => Err("gungraun counted nothing".into()),
        false => Ok(counts),
    }
}

fn one(line: &str) -> Result<(String, f64), String> {
    let summary: Value =
        serde_json::from_str(line).map_err(|error| format!("not gungraun's JSON: {error}"))?;
    let path = summary["id"]
        .as_str()
        .ok_or("gungraun named no path")?
        .to_owned();
    // With an earlier run still in the target directory, both are there.
    let values = summary.pointer(INSTRUCTIONS).unwrap_or(&Value::Null);
    let instructions = [&values["new"], &values["both"][0]]
        .into_iter()
        .find_map(Value::as_f64)
        .ok_or_else(|| format!("no count of instructions for {path}: {values}"))?;
    // One decimal place: what is done once for all calls must not show.
    Ok((path, (instructions / CALLS * 10.0).round() / 10.0))
}
