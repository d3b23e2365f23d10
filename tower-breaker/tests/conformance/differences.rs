//! Where the system that a scenario was observed on differs from our design. The scenario still runs: what is said here takes
//! the place of what the reference does, and is asserted.

use std::collections::BTreeSet;

use Ours::{Gone, Is, NotBuilt, StepsBefore};
use serde_json::Value;

pub struct Difference {
    pub scenario: &'static str,
    /// Where in the scenario: a JSON pointer.
    pub at: &'static str,
    pub ours: Ours,
    pub because: &'static str,
}

#[derive(Clone, Copy)]
pub enum Ours {
    /// This (JSON) instead.
    Is(&'static str),
    /// We have no such option.
    Gone,
    /// As the reference has it, it does not build: this problem is named. This (JSON) instead.
    NotBuilt {
        problem: &'static str,
        then: &'static str,
    },
    /// These steps (a JSON list) come before the one pointed at.
    StepsBefore(&'static str),
}

const AT_LEAST: &str =
    "DESIGN.md 2, \"when does a trial start\": at exactly the wait (>=), not after it";
const SLIDES: &str = "DESIGN.md 2, \"trip rules\": windows slide; a tumbling one is the special case of a single slice";
const CERTAIN: &str = "DESIGN.md 2, \"half-open\" and \"slow trial\": decided as soon as it is certain: two slow ones of four reach a half";
const LEASES: &str = "DESIGN.md 2, \"half-open\": each trial has a lease; half-open itself has no time limit and never closes untried";
const NOTHING_MOVES_ON_A_LOOK: &str = "DESIGN.md 2, \"when does a trial start\": lazily by a call; looking at the state changes nothing";
const ONLY_FROM_OPEN: &str = "DESIGN.md 2, \"manual control\", and MT-03: only an open wait can be ended by hand, so it is opened first";

#[rustfmt::skip]
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        scenario: "MC-03",
        at: "/config/trip/min_calls",
        ours: NotBuilt { problem: "failure_rate.minimum_calls", then: "4" },
        because: "DESIGN.md 2, \"trip rules\": a minimum that the window can never hold is a mistake, and the builder says so",
    },
    // Two slow trials of four decide; the third call comes while the circuit is open again, and the fourth is the first
    // trial of the next half-open period.
    Difference { scenario: "SL-03", at: "/steps/2/expect/permitted", ours: Is("[true, true, false]"), because: CERTAIN },
    Difference { scenario: "SL-03", at: "/steps/2/expect/state", ours: Is("\"open\""), because: CERTAIN },
    Difference { scenario: "SL-03", at: "/steps/3/expect/state", ours: Is("\"half_open\""), because: CERTAIN },
    Difference { scenario: "SL-03", at: "/steps/3/expect/slow", ours: Is("0"), because: CERTAIN },
    Difference { scenario: "SL-03", at: "/steps/3/expect/slow_rate", ours: Is("null"), because: CERTAIN },
    Difference { scenario: "SL-03", at: "/steps/3/expect/failure_rate", ours: Is("null"), because: CERTAIN },
    Difference { scenario: "HO-05", at: "/config/open/elapsed_rule", ours: Gone, because: AT_LEAST },
    Difference { scenario: "HO-05", at: "/steps/1/expect/state_lazy", ours: Is("\"open\""), because: NOTHING_MOVES_ON_A_LOOK },
    Difference {
        scenario: "HO-07",
        at: "/steps/0/expect",
        ours: Is(r#"{"illegal": true, "state": "closed"}"#),
        because: ONLY_FROM_OPEN,
    },
    Difference {
        scenario: "HO-07",
        at: "/steps/1",
        ours: StepsBefore(r#"[{"at": 0, "op": "force", "to": "open"}, {"at": 0, "op": "force", "to": "half_open"}]"#),
        because: ONLY_FROM_OPEN,
    },
    Difference { scenario: "HO-09", at: "/config/open/elapsed_rule", ours: Gone, because: AT_LEAST },
    Difference { scenario: "HO-09", at: "/steps/1/expect/permitted", ours: Is("true"), because: AT_LEAST },
    Difference { scenario: "HO-09", at: "/steps/1/expect/state", ours: Is("\"closed\""), because: AT_LEAST },
    Difference { scenario: "HO-11", at: "/config/half_open/max_wait_ms", ours: Gone, because: LEASES },
    Difference { scenario: "HO-11", at: "/config/half_open/on_max_wait", ours: Gone, because: LEASES },
    Difference { scenario: "HO-11", at: "/steps/3/expect/state", ours: Is("\"half_open\""), because: LEASES },
    Difference {
        scenario: "GN-01",
        at: "/config/window",
        ours: Is(r#"{"kind": "time", "length_ms": 30000, "slices": 1, "align": "construction"}"#),
        because: SLIDES,
    },
    // The circuit has stayed closed, so it is the same episode, and what ends in it counts in it.
    Difference { scenario: "GN-01", at: "/steps/3/expect/calls", ours: Is("1"), because: SLIDES },
    Difference { scenario: "GN-01", at: "/steps/3/expect/successes", ours: Is("1"), because: SLIDES },
    Difference {
        scenario: "CC-03",
        at: "/config/window",
        ours: Is(r#"{"kind": "time", "length_ms": 30000, "slices": 1, "align": "construction"}"#),
        because: SLIDES,
    },
    Difference { scenario: "BO-01", at: "/steps/4/expect/permitted", ours: Is("true"), because: AT_LEAST },
    Difference { scenario: "BO-01", at: "/steps/4/expect/state", ours: Is("\"closed\""), because: AT_LEAST },
];

/// What a configuration must be refused for: it, and the name of the problem.
pub type Unbuildable = (Value, &'static str);

/// Puts our side in the place of the reference's, in the scenario of this name.
pub fn apply(
    id: &str,
    scenario: &mut Value,
    used: &mut BTreeSet<usize>,
) -> Result<Vec<Unbuildable>, String> {
    let mut unbuildable = Vec::new();
    let mut steps_before = Vec::new();
    for (index, difference) in DIFFERENCES.iter().enumerate() {
        if difference.scenario != id {
            continue;
        }
        if !difference.because.starts_with("DESIGN.md") {
            return Err(format!("{}: cites no decision", difference.at));
        }
        match difference.ours {
            Is(ours) => put(scenario, difference.at, Some(ours))?,
            Gone => put(scenario, difference.at, None)?,
            NotBuilt { problem, then } => {
                unbuildable.push((scenario["config"].clone(), problem));
                put(scenario, difference.at, Some(then))?;
            }
            StepsBefore(steps) => steps_before.push((difference.at, parse(steps)?)),
        }
        used.insert(index);
    }
    // From the last one on, so that the indices of the others stay true.
    for (at, steps) in steps_before.into_iter().rev() {
        let index: Option<usize> = at.strip_prefix("/steps/").and_then(|at| at.parse().ok());
        let (Some(index), Value::Array(new)) = (index, steps) else {
            return Err(format!("{at}: not a step, or no list of steps"));
        };
        match &mut scenario["steps"] {
            Value::Array(steps) if index < steps.len() => {
                steps.splice(index..index, new);
            }
            _ => return Err(format!("{at}: there is no such step")),
        }
    }
    Ok(unbuildable)
}

fn parse(json: &str) -> Result<Value, String> {
    serde_json::from_str(json).map_err(|err| format!("{json}: {err}"))
}

fn put(scenario: &mut Value, at: &str, ours: Option<&str>) -> Result<(), String> {
    let ours = ours.map(parse).transpose()?;
    let (parent, key) = at.rsplit_once('/').ok_or("not a JSON pointer")?;
    let parent = scenario
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .ok_or_else(|| format!("{at}: there is no such place"))?;
    let theirs = match ours.clone() {
        Some(ours) => parent.insert(key.to_owned(), ours),
        None => parent.remove(key),
    };
    // An expectation may be added, but nothing may be listed that is no difference.
    if theirs == ours {
        return Err(format!("{at}: {ours:?} is what the reference has too"));
    }
    Ok(())
}
