//! What other circuit breakers have been observed to do (`scenarios.json`), done by ours in virtual time. Where our design
//! decides otherwise, [`differences`] says so and why, and our side is asserted.

#![allow(clippy::unwrap_used)]

mod build;
mod differences;
mod fields;
mod run;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;

use differences::{DIFFERENCES, Ours};

const SCENARIOS: &str = include_str!("scenarios.json");

/// These are about other parts than the breaker, which their own tests cover.
const OTHER_KINDS: [&str; 5] = [
    "adaptive_limit",
    "bulkhead",
    "client_throttle",
    "ejection",
    "retry_budget",
];

fn scenarios() -> Vec<Value> {
    let mut all: Value = serde_json::from_str(SCENARIOS).unwrap();
    match all["scenarios"].take() {
        Value::Array(scenarios) => scenarios,
        other => panic!("no list of scenarios: {other}"),
    }
}

async fn run(scenario: &Value, used: &mut BTreeSet<usize>) -> Result<(), String> {
    let id = scenario["id"].as_str().ok_or("a scenario without an id")?;
    let mut scenario = scenario.clone();
    for (config, problem) in differences::apply(id, &mut scenario, used)? {
        let err = match build::plan(id, &config)?.build() {
            Ok(_) => return Err(format!("{id}: builds, but {problem} is wrong")),
            Err(err) => err,
        };
        let named = err.problems().iter().any(|found| found.option() == problem);
        if !named {
            return Err(format!("{id}: {problem} is not named: {err}"));
        }
    }
    run::run(id, &scenario).await
}

#[tokio::test(start_paused = true)]
async fn every_breaker_scenario_holds_or_is_a_listed_difference() {
    let scenarios = scenarios();
    let (mut kinds, mut used, mut ids) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut failures = Vec::new();
    for scenario in &scenarios {
        let kind = scenario["kind"].as_str().unwrap();
        *kinds.entry(kind).or_insert(0) += 1;
        assert!(
            ids.insert(scenario["id"].as_str().unwrap()),
            "an id occurs twice: {}",
            scenario["id"]
        );
        if kind == "breaker" || kind == "breaker_parallel" {
            if let Err(failure) = run(scenario, &mut used).await {
                failures.push(failure);
            }
        } else if !OTHER_KINDS.contains(&kind) {
            failures.push(format!("{}: of an unknown kind, {kind}", scenario["id"]));
        }
    }

    println!("scenarios by kind: {kinds:?}");
    println!("where our design differs from the system observed:");
    for difference in DIFFERENCES {
        let ours = match difference.ours {
            Ours::Is(ours) => ours.to_owned(),
            Ours::Gone => "(no such option)".to_owned(),
            Ours::NotBuilt { problem, then } => format!("{then} (else not built: {problem})"),
            Ours::StepsBefore(steps) => format!("after {steps}"),
        };
        println!(
            "  {} {}: {ours}\n      {}",
            difference.scenario, difference.at, difference.because
        );
    }
    for (index, difference) in DIFFERENCES.iter().enumerate() {
        if !used.contains(&index) {
            failures.push(format!(
                "{} {} is listed as a difference, and is none",
                difference.scenario, difference.at
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} breaker scenarios:\n{}",
        failures.len(),
        kinds["breaker"] + kinds["breaker_parallel"],
        failures.join("\n")
    );
    assert_eq!((kinds["breaker"], kinds["breaker_parallel"]), (31, 1));
}

/// The repository carries a copy, so that it needs nothing beside it.
#[test]
fn the_copy_of_the_scenarios_is_the_shared_one() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/scenarios.json");
    if shared.exists() {
        let shared = std::fs::read_to_string(shared).unwrap();
        assert!(shared == SCENARIOS, "copy ../shared/scenarios.json again");
    }
}

/// What the interpreter does not know it must not pass over.
#[tokio::test(start_paused = true)]
async fn an_unknown_word_anywhere_is_a_failure() {
    let scenarios = scenarios();
    let known = &scenarios[0];
    run(known, &mut BTreeSet::new()).await.unwrap();
    for (parent, key, value) in [
        ("", "surprise", "1"),
        ("/config", "surprise", "{}"),
        ("/config/window", "surprise", "1"),
        ("/config/window", "kind", "\"surprise\""),
        ("/config/trip", "surprise", "1"),
        ("/config/trip", "compare", "\"<\""),
        ("/config/open", "elapsed_rule", "\">\""),
        ("/steps/0", "op", "\"surprise\""),
        ("/steps/0", "outcome", "\"surprise\""),
        ("/steps/0", "surprise", "1"),
        ("/steps/0/expect", "surprise", "1"),
        ("/steps/0/expect", "calls", "7"),
        ("/steps/0/expect", "permitted", "false"),
    ] {
        let mut scenario = known.clone();
        scenario
            .pointer_mut(parent)
            .and_then(Value::as_object_mut)
            .unwrap()
            .insert(key.to_owned(), serde_json::from_str(value).unwrap());
        let result = run(&scenario, &mut BTreeSet::new()).await;
        assert!(result.is_err(), "{parent}/{key}: {value}");
    }
}
