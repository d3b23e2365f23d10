//! The scenarios of the group `throttling` in `conformance/scenarios.json`, done by ours. Where a scenario has something
//! that ours does not, [`DIFFERENCES`] says so and why.

#![allow(clippy::unwrap_used)]

#[path = "conformance/fields.rs"]
// It serves more than is needed here.
#[allow(dead_code)]
mod fields;

use std::collections::BTreeSet;

use fields::Fields;
use serde_json::Value;
use tower::retry::budget::Budget as _;
use tower_breaker::{Throttle, retry::TokenBudget};

const SCENARIOS: &str = include_str!("conformance/scenarios.json");

/// Scenario, what in it, and why ours has none.
const DIFFERENCES: [(&str, &str, &str); 1] = [(
    "TH-03",
    "timeout_cost",
    "tower's `Budget` is not told why a call is made again, so a time-out costs what every retry costs; no step of the \
     scenario has one",
)];

fn scenarios() -> Vec<Value> {
    let mut all: Value = serde_json::from_str(SCENARIOS).unwrap();
    match all["scenarios"].take() {
        Value::Array(scenarios) => scenarios,
        other => panic!("no list of scenarios: {other}"),
    }
}

fn run(scenario: &Value) -> Result<Vec<(&'static str, &'static str)>, String> {
    let id = scenario["id"].as_str().ok_or("a scenario without an id")?;
    let mut fields = Fields::of(id, scenario)?;
    for known in [
        "id",
        "group",
        "title",
        "source",
        "basis",
        "disagree",
        "note",
        "executed_on",
    ] {
        fields.get(known);
    }
    let kind = fields.word("kind")?;
    let config = fields.object("config")?;
    let steps = fields.list("steps")?;
    let steps = fields.need("steps", steps)?;
    fields.end()?;
    match kind {
        Some("client_throttle") => throttle(config, steps),
        Some("retry_budget") => budget(id, config, steps),
        other => Err(format!("{id}: of an unknown kind, {other:?}")),
    }
}

fn throttle(
    mut config: Fields<'_>,
    steps: &[Value],
) -> Result<Vec<(&'static str, &'static str)>, String> {
    let k = config.number("k")?;
    let k = config.need("k", k)?;
    config.end()?;
    for (index, step) in steps.iter().enumerate() {
        let mut step = Fields::of(format!("step {index}"), step)?;
        match step.word("op")? {
            Some("eval") => {}
            other => return step.unknown("op", other),
        }
        let (requests, accepts) = (step.number("requests")?, step.number("accepts")?);
        let requests = step.need("requests", requests)?;
        let accepts = step.need("accepts", accepts)?;
        let mut expect = step.object("expect")?;
        let probability = expect.get("probability").and_then(Value::as_f64);
        let probability = expect.need("probability", probability)?;
        expect.end()?;
        step.end()?;

        let throttle = Throttle::builder("scenario")
            .k(k as f64)
            .minimum_requests(0)
            .build()
            .unwrap();
        // All at once: as long as none has ended, none is refused.
        let permits: Vec<_> = (0..requests)
            .map(|_| throttle.try_acquire().unwrap())
            .collect();
        for (index, permit) in permits.into_iter().enumerate() {
            if (index as u64) < accepts {
                permit.success();
            } else {
                permit.failure();
            }
        }
        let ours = throttle.snapshot().probability;
        if (ours - probability).abs() > 0.0005 {
            return Err(format!("step {index}: {ours}, not {probability}"));
        }
    }
    Ok(Vec::new())
}

fn budget(
    id: &str,
    mut config: Fields<'_>,
    steps: &[Value],
) -> Result<Vec<(&'static str, &'static str)>, String> {
    let mut differences = Vec::new();
    for (scenario, key, _) in DIFFERENCES {
        if scenario == id && config.get(key).is_some() {
            differences.push((scenario, key));
        }
    }
    let mut option = |key| {
        let value = config.number(key)?;
        config.need(key, value).map(|value| value as u32)
    };
    let (capacity, cost) = (option("capacity")?, option("retry_cost")?);
    let refund = option("success_refund")?;
    config.end()?;
    let budget = TokenBudget::new(capacity, cost, refund).unwrap();

    for (index, step) in steps.iter().enumerate() {
        let mut step = Fields::of(format!("step {index}"), step)?;
        let op = step.word("op")?;
        let repeat = step.number("repeat")?.unwrap_or(1);
        let mut expect = step.object("expect")?;
        let permitted = expect.get("permitted").and_then(Value::as_bool);
        let balance = expect.number("balance")?;
        expect.end()?;
        match op {
            Some("retry") => {
                for time in 0..repeat {
                    let ours = budget.withdraw();
                    if Some(ours) != permitted {
                        return Err(format!("step {index}, time {time}: permitted: {ours}"));
                    }
                }
            }
            Some("success") => {
                for _ in 0..repeat {
                    budget.deposit();
                }
            }
            other => return step.unknown("op", other),
        }
        step.end()?;
        let ours = u64::from(budget.balance());
        if balance.is_some_and(|balance| balance != ours) {
            return Err(format!(
                "step {index}: a balance of {ours}, not {balance:?}"
            ));
        }
    }
    Ok(differences)
}

#[test]
fn every_scenario_of_the_group_holds_or_is_a_listed_difference() {
    let (mut ids, mut used, mut failures) = (Vec::new(), BTreeSet::new(), Vec::new());
    let scenarios = scenarios();
    for scenario in &scenarios {
        if scenario["group"] != "throttling" {
            continue;
        }
        ids.push(scenario["id"].as_str().unwrap());
        match run(scenario) {
            Ok(differences) => used.extend(differences),
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(ids, ["TH-01", "TH-03"]);
    for (scenario, key, because) in DIFFERENCES {
        println!("{scenario} {key}: {because}");
        assert!(
            used.contains(&(scenario, key)),
            "{scenario} {key} is no difference"
        );
    }
}

/// What the interpreter does not know it must not pass over.
#[test]
fn an_unknown_word_anywhere_is_a_failure() {
    for scenario in scenarios() {
        if scenario["group"] != "throttling" {
            continue;
        }
        run(&scenario).unwrap();
        for (parent, key, value) in [
            ("", "surprise", "1"),
            ("", "kind", "\"surprise\""),
            ("/config", "surprise", "1"),
            ("/steps/0", "op", "\"surprise\""),
            ("/steps/0", "surprise", "1"),
            ("/steps/0/expect", "surprise", "1"),
            ("/steps/0/expect", "probability", "0.7"),
            ("/steps/0/expect", "permitted", "false"),
        ] {
            let mut changed = scenario.clone();
            changed
                .pointer_mut(parent)
                .and_then(Value::as_object_mut)
                .unwrap()
                .insert(key.to_owned(), serde_json::from_str(value).unwrap());
            assert!(run(&changed).is_err(), "{parent}/{key}: {value}");
        }
    }
}
