//! Every second of every run, for other programs.

use serde_json::{Value, json};

use crate::worlds::Played;

pub fn write(worlds: &[(&str, &Played)]) -> String {
    let worlds = worlds
        .iter()
        .map(|(name, played)| ((*name).to_owned(), world(played)));
    format!("{:#}\n", Value::Object(worlds.collect()))
}

fn world(played: &Played) -> Value {
    let phases = played.world.phases.iter().map(|phase| {
        json!({
            "name": phase.name,
            "from_s": phase.from,
            "workers": phase.workers,
            "service_ms": phase.service_ms,
            "offered_per_s": phase.offered,
            "possible_per_s": phase.capacity(),
        })
    });
    let runs = played.runs.iter().map(|run| {
        let seconds = run.seconds.iter().map(|second| {
            json!({
                "limit": second.limit,
                "in_flight": second.in_flight,
                "answered": second.answered,
                "timed_out": second.timed_out,
                "refused": second.refused,
                "latency_ms": second.latency_ms,
            })
        });
        json!({ "guard": run.name, "seconds": seconds.collect::<Vec<_>>() })
    });
    json!({
        "time_out_ms": played.world.time_out_ms,
        "phases": phases.collect::<Vec<_>>(),
        "runs": runs.collect::<Vec<_>>(),
    })
}
