//! What other adaptive limits have been observed to do (`scenarios.json`), done by ours. A scenario that ours does not follow is listed in
//! [`DIFFERENCES`] with the reason.

#![allow(clippy::unwrap_used)]

#[path = "../conformance/fields.rs"]
#[allow(dead_code)]
mod fields;

use std::time::Duration;

use serde_json::Value;
use tower_breaker::bulkhead::limit::{Aimd, Algorithm, Gradient2, Sample, Vegas};

use fields::Fields;

const SCENARIOS: &str = include_str!("../conformance/scenarios.json");

/// Whole scenarios that are not for us.
const DIFFERENCES: &[(&str, &str)] = &[(
    "AD-07",
    "Envoy's gradient is not among our algorithms: it measures its least latency by pinning the limit to 3 for 50 calls, which \
     refuses nearly all traffic for that time. Gradient2 has its step (limit x gradient + queue), and measures at half the limit. \
     Who wants Envoy's writes it as an `Algorithm`.",
)];

fn number(fields: &mut Fields<'_>, key: &str, otherwise: usize) -> Result<usize, String> {
    Ok(fields
        .number(key)?
        .map_or(otherwise, |number| number as usize))
}

fn float(fields: &mut Fields<'_>, key: &str, otherwise: f64) -> Result<f64, String> {
    match fields.get(key) {
        None => Ok(otherwise),
        Some(value) => value
            .as_f64()
            .map_or_else(|| fields.unknown(key, value), Ok),
    }
}

fn build(config: &Value) -> Result<Box<dyn Algorithm>, String> {
    let mut config = Fields::of("config", config)?;
    let algorithm = config.word("algorithm")?;
    let algorithm = config.need("algorithm", algorithm)?;
    let initial = number(&mut config, "initial", 20)?;
    let min = number(&mut config, "min", 1)?;
    let max = number(&mut config, "max", 200)?;
    let built: Box<dyn Algorithm> = match algorithm {
        "aimd" => {
            let timeout = number(&mut config, "timeout_ms", 5_000)? as u64;
            let aimd = Aimd::builder()
                .initial(initial)
                .min(min)
                .max(max)
                .backoff(float(&mut config, "backoff_ratio", 0.9)?)
                .timeout(Duration::from_millis(timeout));
            Box::new(aimd.build().map_err(|err| err.to_string())?)
        }
        "vegas" => {
            let vegas = Vegas::builder()
                .initial(initial)
                .min(min)
                .max(max)
                .alpha(float(&mut config, "alpha", 3.0)?)
                .beta(float(&mut config, "beta", 6.0)?)
                .threshold(float(&mut config, "threshold", 1.0)?)
                .smoothing(float(&mut config, "smoothing", 1.0)?)
                // There, a drop is one step down. Ours takes a tenth at least unless told otherwise.
                .backoff(1.0);
            Box::new(vegas.build().map_err(|err| err.to_string())?)
        }
        "gradient2" => {
            let gradient2 = Gradient2::builder()
                .initial(initial)
                .min(min)
                .max(max)
                .smoothing(float(&mut config, "smoothing", 0.2)?)
                .tolerance(float(&mut config, "tolerance", 1.5)?)
                .queue(number(&mut config, "queue", 4)?)
                .long_window(number(&mut config, "long_window", 600)? as u32)
                .warmup(number(&mut config, "warmup", 10)? as u32);
            Box::new(gradient2.build().map_err(|err| err.to_string())?)
        }
        other => return config.unknown("algorithm", other),
    };
    config.end()?;
    Ok(built)
}

fn run(scenario: &Value) -> Result<(), String> {
    let id = scenario["id"].as_str().ok_or("a scenario without an id")?;
    let mut algorithm = build(&scenario["config"]).map_err(|err| format!("{id}: {err}"))?;
    let steps = scenario["steps"].as_array().ok_or("no list of steps")?;
    for (index, step) in steps.iter().enumerate() {
        let mut step = Fields::of(format!("{id} step {index}"), step)?;
        match step.word("op")? {
            Some("sample") => {}
            op => return step.unknown("op", op),
        }
        let rtt = step.number("rtt_ms")?;
        let in_flight = step.number("inflight")?;
        let rtt = Duration::from_millis(step.need("rtt_ms", rtt)?);
        let mut sample = Sample::new(rtt, step.need("inflight", in_flight)? as usize);
        sample.dropped = step.flag("dropped")?;
        let mut expect = step.object("expect")?;
        let expected = expect.number("limit")?;
        let expected = expect.need("limit", expected)?;
        expect.end()?;
        step.end()?;
        let limit = algorithm.update(&sample);
        if limit as u64 != expected {
            return Err(format!(
                "{id} step {index}: limit {limit}, expected {expected}"
            ));
        }
    }
    Ok(())
}

#[test]
fn every_adaptive_scenario_holds_or_is_a_listed_difference() {
    let all: Value = serde_json::from_str(SCENARIOS).unwrap();
    let mut ran = Vec::new();
    let mut listed = Vec::new();
    for scenario in all["scenarios"].as_array().unwrap() {
        if scenario["kind"] != "adaptive_limit" {
            continue;
        }
        let id = scenario["id"].as_str().unwrap();
        match DIFFERENCES.iter().find(|(differs, _)| *differs == id) {
            Some((_, because)) => {
                println!("{id}: {because}");
                assert!(
                    run(scenario).is_err(),
                    "{id} is listed as a difference, and is none"
                );
                listed.push(id);
            }
            None => {
                run(scenario).unwrap();
                ran.push(id);
            }
        }
    }
    assert_eq!(
        (ran, listed),
        (vec!["AD-01", "AD-03", "AD-05"], vec!["AD-07"])
    );
}

/// What the interpreter does not know it must not pass over.
#[test]
fn an_unknown_word_anywhere_is_a_failure() {
    let all: Value = serde_json::from_str(SCENARIOS).unwrap();
    let scenarios = all["scenarios"].as_array().unwrap();
    let known = scenarios.iter().find(|scenario| scenario["id"] == "AD-01");
    let known = known.unwrap();
    run(known).unwrap();
    for (parent, key, value) in [
        ("/config", "surprise", "1"),
        ("/config", "algorithm", "\"surprise\""),
        ("/config", "backoff_ratio", "\"half\""),
        ("/steps/0", "op", "\"surprise\""),
        ("/steps/0", "surprise", "1"),
        ("/steps/0/expect", "surprise", "1"),
        ("/steps/0/expect", "limit", "7"),
    ] {
        let mut scenario = known.clone();
        let parent = scenario.pointer_mut(parent).and_then(Value::as_object_mut);
        let value = serde_json::from_str(value).unwrap();
        parent.unwrap().insert(key.to_owned(), value);
        assert!(run(&scenario).is_err(), "{key}: {scenario}");
    }
}

/// The fault that the reference's `disagree` names: constant time-outs must not look like a steady latency.
#[test]
fn nothing_but_time_outs_brings_every_algorithm_down_to_its_least() {
    let algorithms: [Box<dyn Algorithm>; 3] = [
        Box::new(Aimd::builder().initial(100).min(2).build().unwrap()),
        Box::new(Gradient2::builder().initial(100).min(2).build().unwrap()),
        Box::new(Vegas::builder().initial(100).min(2).build().unwrap()),
    ];
    for mut algorithm in algorithms {
        let timed_out = Sample::new(Duration::from_secs(5), 100).with_drop();
        let limit = (0..3_000).map(|_| algorithm.update(&timed_out)).last();
        assert_eq!(limit, Some(2));
    }
}
