//! Runs every bulkhead scenario of `scenarios.json`, which records how other systems behave, in virtual time.

#![allow(clippy::unwrap_used)]

#[path = "../conformance/fields.rs"]
#[allow(dead_code)]
mod fields;

use std::{collections::BTreeMap, task::Poll, time::Duration};

use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tokio_test::task::{self, Spawn};
use tower_breaker::{
    Bulkhead, BulkheadPermit, Reason,
    bulkhead::{Acquire, Partition},
};

use crate::fields::Fields;

const SCENARIOS: &str = include_str!("../conformance/scenarios.json");

/// Where we differ, at which step, with what we do instead, and why.
const DIFFERENCES: [(&str, usize, &str, &str); 1] = [(
    "BH-13",
    13,
    "rejected",
    "a guarantee is kept free while it is idle (decision 0081): `batch` may not take the permit that `live` gave back",
)];

enum Call {
    Waiting(Spawn<Acquire>),
    Granted(BulkheadPermit),
    Refused(Reason),
}

impl Call {
    fn status(&self) -> &'static str {
        match self {
            Self::Waiting(_) => "waiting",
            Self::Granted(_) => "granted",
            Self::Refused(_) => "rejected",
        }
    }
}

struct Run {
    bulkhead: Bulkhead,
    waits: bool,
    calls: BTreeMap<String, Call>,
    granted: Vec<String>,
}

impl Run {
    fn build(mut config: Fields<'_>) -> Result<Self, String> {
        let limit = config.number("max_concurrent")?;
        let limit = config.need("max_concurrent", limit)?;
        let mut builder = Bulkhead::builder("scenario").max_concurrent(limit as usize);
        let max_wait = config.number("max_wait_ms")?.unwrap_or(0);
        if max_wait > 0 {
            builder = builder
                .max_queue(100)
                .max_wait(Duration::from_millis(max_wait));
        }
        match config.word("order")? {
            None | Some("fifo") => {}
            Some(other) => return Err(format!("order `{other}` is unknown")),
        }
        if let Some(partitions) = config.get("partitions") {
            for (name, share) in partitions.as_object().ok_or("partitions are no object")? {
                let share = share.as_f64().ok_or("a share is no number")?;
                builder = builder.partition(Partition::new(name.as_str()).guaranteed(share));
            }
        }
        match config.word("partition_rule")? {
            None | Some("guarantee_only_enforced_at_global_limit") => {}
            Some(other) => return Err(format!("partition rule `{other}` is unknown")),
        }
        config.end()?;
        Ok(Self {
            bulkhead: builder.build().map_err(|error| error.to_string())?,
            waits: max_wait > 0,
            calls: BTreeMap::new(),
            granted: Vec::new(),
        })
    }

    // Polls whoever has been woken, by a permit or by the time.
    fn look(&mut self) {
        for (id, call) in &mut self.calls {
            if let Call::Waiting(waiter) = call
                && waiter.is_woken()
                && let Poll::Ready(answer) = waiter.poll()
            {
                *call = match answer {
                    Ok(permit) => {
                        self.granted.push(id.clone());
                        Call::Granted(permit)
                    }
                    Err(refused) => Call::Refused(refused.reason()),
                };
            }
        }
    }

    fn acquire(&mut self, id: &str, partition: Option<&str>) -> Result<&'static str, String> {
        let handle = match partition {
            Some(name) => self.bulkhead.partition(name).ok_or("no such partition")?,
            None => self.bulkhead.clone(),
        };
        let mut acquire = task::spawn(handle.acquire());
        let call = match acquire.poll() {
            Poll::Pending => Call::Waiting(acquire),
            Poll::Ready(Ok(permit)) => {
                self.granted.push(id.to_owned());
                Call::Granted(permit)
            }
            Poll::Ready(Err(refused)) => Call::Refused(refused.reason()),
        };
        let status = call.status();
        if !self.waits && status == "waiting" {
            return Err("waits, and must not".to_owned());
        }
        self.calls.insert(id.to_owned(), call);
        Ok(status)
    }

    fn end(&mut self, id: &str) -> Result<(), String> {
        match self.calls.remove(id) {
            Some(Call::Granted(permit)) => drop(permit),
            Some(Call::Waiting(waiter)) => drop(waiter),
            _ => return Err(format!("`{id}` has nothing to give back")),
        }
        self.look();
        Ok(())
    }

    fn step(&mut self, mut step: Fields<'_>, instead: Option<&str>) -> Result<(), String> {
        let id = step.word("id")?;
        let partition = step.word("partition")?;
        let to = step.number("to")?;
        let op = step.word("op")?;
        let mut expect = step.object("expect")?;
        let wanted = expect.word("result")?;
        match step.need("op", op)? {
            "acquire" => {
                let result = self.acquire(step.need("id", id)?, partition)?;
                let wanted = instead.or(wanted);
                if wanted.is_some_and(|wanted| wanted != result) {
                    return Err(format!("{result} instead of {wanted:?}"));
                }
            }
            "release" | "cancel" | "cancel_running" => self.end(step.need("id", id)?)?,
            "panic" => {
                let call = self.calls.remove(step.need("id", id)?);
                let Some(Call::Granted(permit)) = call else {
                    return Err("no call to panic in".to_owned());
                };
                let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let _held = permit;
                    std::panic::resume_unwind(Box::new(()));
                }));
                assert!(panicked.is_err());
                self.look();
            }
            // There is no way to give back what one does not have: the first ends the call, and what is given back once is gone.
            "release_raw" => {
                let held = self
                    .calls
                    .iter()
                    .find(|(_, call)| call.status() == "granted");
                if let Some(id) = held.map(|(id, _)| id.clone()) {
                    self.end(&id)?;
                }
            }
            "resize" => {
                let to = step.need("to", to)?;
                self.bulkhead
                    .resize(to as usize)
                    .map_err(|error| error.to_string())?;
                match expect.word("returns")? {
                    // It is no future, and nothing else runs on this thread that could end a call meanwhile.
                    None | Some("at_once") => {}
                    Some(other) => return Err(format!("`returns: {other}` is unknown")),
                }
                self.look();
            }
            "check" => {}
            other => return Err(format!("operation `{other}` is unknown")),
        }
        self.check(expect)?;
        // When it happens has been read before.
        let _ = step.number("at")?;
        step.end()
    }

    fn check(&mut self, mut expect: Fields<'_>) -> Result<(), String> {
        if let Some(available) = expect.number("available")? {
            let snapshot = self.bulkhead.snapshot();
            let found = snapshot.max_concurrent.saturating_sub(snapshot.in_flight);
            if found as u64 != available {
                return Err(format!("{found} available instead of {available}"));
            }
        }
        if let Some(status) = expect.get("status") {
            for (id, wanted) in status.as_object().ok_or("status is no object")? {
                let found = self.calls.get(id).map(Call::status);
                if found != wanted.as_str() {
                    return Err(format!("`{id}` is {found:?} instead of {wanted}"));
                }
            }
        }
        if let Some(order) = expect.list("grant_order")? {
            let order: Vec<_> = order.iter().filter_map(Value::as_str).collect();
            if self.granted != order {
                return Err(format!("granted {:?} instead of {order:?}", self.granted));
            }
        }
        expect.end()
    }
}

async fn run(scenario: &Value) -> Result<(), String> {
    let mut scenario = Fields::of("scenario", scenario)?;
    let id = scenario.word("id")?.unwrap_or_default();
    let mut run = Run::build(scenario.object("config")?)?;
    let start = Instant::now();
    for (index, step) in scenario.list("steps")?.unwrap().iter().enumerate() {
        let at = step["at"].as_u64().ok_or("a step has no time")?;
        sleep_until(start + Duration::from_millis(at)).await;
        run.look();
        let instead = DIFFERENCES
            .iter()
            .find(|(scenario, step, ..)| *scenario == id && *step == index)
            .map(|(.., instead, _)| *instead);
        run.step(Fields::of(format!("step {index}"), step)?, instead)
            .map_err(|error| format!("step {index}, at {at} ms: {error}"))?;
    }
    let waiting = |call: &Call| matches!(call, Call::Refused(Reason::WaitedTooLong));
    assert!(run.waits || !run.calls.values().any(waiting));
    Ok(())
}

fn scenarios() -> Vec<Value> {
    let file: Value = serde_json::from_str(SCENARIOS).unwrap();
    let all = file["scenarios"].as_array().unwrap();
    all.iter()
        .filter(|scenario| scenario["kind"] == "bulkhead")
        .cloned()
        .collect()
}

#[tokio::test(start_paused = true)]
async fn every_bulkhead_scenario_conforms_or_is_listed_with_its_reason() {
    let scenarios = scenarios();
    assert_eq!(scenarios.len(), 8);
    let mut failures = Vec::new();
    for scenario in &scenarios {
        if let Err(error) = run(scenario).await {
            failures.push(format!("{}: {error}", scenario["id"]));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    for (id, step, instead, reason) in DIFFERENCES {
        let scenario = scenarios
            .iter()
            .find(|scenario| scenario["id"] == id)
            .unwrap();
        let theirs = &scenario["steps"][step]["expect"]["result"];
        assert_ne!(theirs, instead, "{id} does not differ any more: {reason}");
    }
}
