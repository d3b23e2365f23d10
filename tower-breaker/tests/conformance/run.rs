//! Runs one scenario, through the public API only.

use std::{collections::HashMap, convert::Infallible, fmt, time::Duration};

use serde_json::{Value, json};
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxService};
use tower_breaker::{
    CircuitBreaker, CircuitBreakerLayer, Control, Error, Permit, Snapshot, State,
    breaker::{RateKind, WindowSnapshot},
    classify::Verdict,
};

use crate::{
    build::{self, Plan},
    fields::Fields,
};

pub async fn run(id: &str, scenario: &Value) -> Result<(), String> {
    let mut scenario = Fields::of(id, scenario)?;
    // Who says so, and about what.
    for key in [
        "id",
        "group",
        "kind",
        "title",
        "source",
        "basis",
        "disagree",
        "executed_on",
        "note",
    ] {
        let _ = scenario.get(key);
    }
    let config = scenario.get("config");
    let plan = build::plan(id, scenario.need("config", config)?)?;
    let steps = scenario.list("steps")?;
    let steps = scenario.need("steps", steps)?;
    scenario.end()?;

    let mut world = World::new(plan)?;
    for (index, step) in steps.iter().enumerate() {
        let place = format!("{id}, step {index}");
        world.step(&place, step).await?;
    }
    Ok(())
}

/// How a call ends, in the words of the scenarios.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Ok,
    Err,
    Ignored,
    ErrAsOk,
    WrappedIgnored,
    BadResult,
}

impl Outcome {
    fn read(name: &str) -> Result<Self, String> {
        Ok(match name {
            "ok" => Self::Ok,
            "err" => Self::Err,
            "ignored" => Self::Ignored,
            "err_as_ok" => Self::ErrAsOk,
            "wrapped_ignored" => Self::WrappedIgnored,
            "bad_result" => Self::BadResult,
            other => return Err(format!("the outcome {other:?} is not understood")),
        })
    }

    fn result(self) -> Result<Answer, Fault> {
        match self {
            Self::Ok => Ok(Answer::Good),
            Self::BadResult => Ok(Answer::Bad),
            Self::Err => Err(Fault::Broken),
            Self::Ignored => Err(Fault::CallersOwn),
            Self::ErrAsOk => Err(Fault::AsGoodAsAnAnswer),
            Self::WrappedIgnored => Err(Fault::Wrapped(Box::new(Fault::CallersOwn))),
        }
    }
}

#[derive(Debug)]
enum Answer {
    Good,
    Bad,
}

#[derive(Debug)]
enum Fault {
    Broken,
    CallersOwn,
    AsGoodAsAnAnswer,
    Wrapped(Box<Fault>),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Fault {}

fn judge(result: Result<&Answer, &Fault>) -> Verdict {
    match result {
        Ok(Answer::Good) | Err(Fault::AsGoodAsAnAnswer) => Verdict::Success,
        Ok(Answer::Bad) | Err(Fault::Broken) => Verdict::Failure,
        Err(Fault::CallersOwn) => Verdict::Ignore,
        Err(Fault::Wrapped(cause)) => judge(Err(cause)),
    }
}

type Call = (Outcome, Duration);

struct World {
    start: Instant,
    wait: Duration,
    asked: std::sync::Arc<std::sync::Mutex<Vec<u32>>>,
    breaker: CircuitBreaker,
    service: BoxService<Call, Answer, Error<Fault>>,
    running: HashMap<String, Permit>,
    timer: Option<JoinHandle<Infallible>>,
    /// As it was when the current episode was first seen.
    began: Snapshot,
    illegal: bool,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
    }
}

impl World {
    fn new(plan: Plan) -> Result<Self, String> {
        let (wait, asked, timed) = (plan.wait, plan.asked.clone(), plan.timed);
        let breaker = plan.build().map_err(|err| err.to_string())?;
        let inner = service_fn(async |(outcome, latency): Call| {
            if !latency.is_zero() {
                sleep(latency).await;
            }
            outcome.result()
        });
        let service = CircuitBreakerLayer::new(breaker.clone())
            .classify(judge)
            .typed()
            .layer(inner);
        let timer = timed.then(|| {
            let breaker = breaker.clone();
            tokio::spawn(async move { breaker.half_open_on_time().await })
        });
        Ok(Self {
            start: Instant::now(),
            wait,
            asked,
            service: BoxService::new(service),
            running: HashMap::new(),
            timer,
            began: breaker.snapshot(),
            breaker,
            illegal: false,
        })
    }

    async fn step(&mut self, place: &str, step: &Value) -> Result<(), String> {
        let mut step = Fields::of(place, step)?;
        let at = step.number("at")?;
        let at = self.start + Duration::from_millis(step.need("at", at)?);
        if at < Instant::now() {
            return Err(format!("{place}: begins before the one before has ended"));
        }
        sleep_until(at).await;
        self.settle().await;

        let mut expect = step.object("expect")?;
        let permitted = expect.get("permitted");
        self.illegal = false;
        let op = step.word("op")?;
        match step.need("op", op)? {
            "check" => {}
            "call" => self.call(place, &mut step, permitted).await?,
            "begin" => {
                let id = step.word("id")?;
                let id = step.need("id", id)?.to_owned();
                let permit = self.breaker.try_acquire().ok();
                check_permitted(place, 0, permitted, permit.is_some())?;
                if let Some(permit) = permit {
                    self.running.insert(id, permit);
                }
            }
            "end" => {
                let (id, outcome) = (step.word("id")?, step.word("outcome")?);
                let id = step.need("id", id)?;
                let outcome = Outcome::read(step.need("outcome", outcome)?)?;
                let permit = self.running.remove(id);
                let permit = permit.ok_or_else(|| format!("{place}: {id} does not run"))?;
                match judge(outcome.result().as_ref()) {
                    Verdict::Success => permit.success(),
                    Verdict::Failure => permit.failure(),
                    Verdict::Ignore => permit.ignore(),
                }
            }
            "parallel" => self.parallel(&mut step).await?,
            "force" => self.force(&mut step)?,
            "reset" => self.breaker.reset(),
            other => return step.unknown("op", other),
        }
        step.end()?;
        self.settle().await;
        self.look(place, expect)
    }

    /// Lets the tasks in the background do what is due, and notes when an episode begins.
    async fn settle(&mut self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let now = self.breaker.snapshot();
        if now.generation != self.began.generation {
            self.began = now;
        }
    }

    async fn call(
        &mut self,
        place: &str,
        step: &mut Fields<'_>,
        permitted: Option<&Value>,
    ) -> Result<(), String> {
        let outcome = step.word("outcome")?;
        let outcome = Outcome::read(step.need("outcome", outcome)?)?;
        let latency = Duration::from_millis(step.number("latency_ms")?.unwrap_or(0));
        let repeat = step.number("repeat")?.unwrap_or(1);
        let begins = Instant::now();
        for round in 0..repeat {
            sleep_until(begins + latency * round as u32).await;
            let ready = self.service.ready().await;
            let ready = ready.map_err(|err| format!("{place}: not ready: {err}"))?;
            let refused = matches!(ready.call((outcome, latency)).await, Err(Error::Refused(_)));
            check_permitted(place, round as usize, permitted, !refused)?;
        }
        Ok(())
    }

    async fn parallel(&mut self, step: &mut Fields<'_>) -> Result<(), String> {
        let (workers, each, cycle) = (
            step.number("workers")?,
            step.number("each")?,
            step.list("cycle")?,
        );
        let (workers, each) = (step.need("workers", workers)?, step.need("each", each)?);
        let cycle = step.need("cycle", cycle)?.iter().map(|name| {
            let name = name.as_str().ok_or("not the name of an outcome")?;
            Outcome::read(name).map(|outcome| judge(outcome.result().as_ref()))
        });
        let cycle: Vec<Verdict> = cycle.collect::<Result<_, _>>()?;
        let (breaker, runtime) = (&self.breaker, Handle::current());
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..workers)
                .map(|_| {
                    let (cycle, runtime) = (&cycle, &runtime);
                    scope.spawn(move || {
                        // For the virtual clock.
                        let _inside = runtime.enter();
                        for call in 0..each {
                            let Ok(permit) = breaker.try_acquire() else {
                                return Err("a call of a worker was refused".to_owned());
                            };
                            match cycle[call as usize % cycle.len()] {
                                Verdict::Success => permit.success(),
                                Verdict::Failure => permit.failure(),
                                Verdict::Ignore => permit.ignore(),
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap())
        })
    }

    fn force(&mut self, step: &mut Fields<'_>) -> Result<(), String> {
        let to = step.word("to")?;
        let time = step.number("for_ms")?.map(Duration::from_millis);
        match (step.need("to", to)?, time) {
            // Automatic again from there on.
            ("open", time) => self.breaker.force_open_for(time.unwrap_or(self.wait)),
            ("closed", None) => self.breaker.reset(),
            ("forced_open", None) => self.breaker.force_open(),
            ("half_open", None) => self.illegal = !self.breaker.half_open(),
            other => return step.unknown("to", other),
        }
        Ok(())
    }

    fn look(&self, place: &str, mut expect: Fields<'_>) -> Result<(), String> {
        let snapshot = self.breaker.snapshot();
        for key in [
            "state",
            "state_lazy",
            "illegal",
            "rejected",
            "calls",
            "failures",
            "successes",
            "slow",
            "failure_rate",
            "slow_rate",
            "ignored",
            "reason",
            "wait_fn_args",
        ] {
            let Some(expected) = expect.get(key) else {
                continue;
            };
            let actual = match key {
                // Nothing moves the state but a call, or a hand: the state is the same however one looks at it.
                "state" | "state_lazy" => json!(state(&snapshot)),
                "illegal" => json!(self.illegal),
                "rejected" => json!(snapshot.refused - self.began.refused),
                "calls" => json!(self.counted(&snapshot).0),
                "failures" => json!(self.counted(&snapshot).1),
                "successes" => {
                    let (calls, failures) = self.counted(&snapshot);
                    json!(calls - failures)
                }
                "slow" => json!(window(&snapshot, RateKind::SlowCalls).map(|window| window.hits)),
                "failure_rate" => rate(window(&snapshot, RateKind::Failures)),
                "slow_rate" => rate(window(&snapshot, RateKind::SlowCalls)),
                "ignored" => json!(snapshot.ignored),
                "reason" => {
                    let last = self.breaker.recent_transitions().pop();
                    json!(last.map(|transition| transition.cause.as_str()))
                }
                _ => json!(*self.asked.lock().unwrap()),
            };
            let equal = match (expected.as_f64(), actual.as_f64()) {
                (Some(expected), Some(actual)) => (expected - actual).abs() < 1e-9,
                _ => *expected == actual,
            };
            if !equal {
                return Err(format!("{place}: {key} is {actual}, not {expected}"));
            }
        }
        expect.end()
    }

    /// Calls, and failures among them, that count in the current episode.
    fn counted(&self, snapshot: &Snapshot) -> (u64, u64) {
        if snapshot.state == State::HalfOpen {
            let failures = u64::from(snapshot.trial_failures);
            (u64::from(snapshot.trial_successes) + failures, failures)
        } else if let Some(window) = window(snapshot, RateKind::Failures) {
            (u64::from(window.calls), u64::from(window.hits))
        } else {
            // Without a window the episode is all there is.
            let failures = snapshot.failed - self.began.failed;
            (
                snapshot.succeeded - self.began.succeeded + failures,
                failures,
            )
        }
    }
}

fn check_permitted(
    place: &str,
    round: usize,
    expected: Option<&Value>,
    permitted: bool,
) -> Result<(), String> {
    let expected = match expected {
        None => &Value::Bool(true),
        Some(Value::Array(rounds)) => rounds.get(round).unwrap_or(&Value::Null),
        Some(all) => all,
    };
    if *expected == Value::Bool(permitted) {
        Ok(())
    } else {
        Err(format!(
            "{place}, call {round}: permitted is {permitted}, not {expected}"
        ))
    }
}

fn state(snapshot: &Snapshot) -> &'static str {
    match (snapshot.state, snapshot.control) {
        (State::Closed, Control::Automatic) => "closed",
        (State::Open, Control::Automatic) => "open",
        (State::HalfOpen, Control::Automatic) => "half_open",
        (State::Open, Control::ForcedOpen) => "forced_open",
        (State::Closed, Control::Disabled) => "disabled",
        _ => "not a state of the scenarios",
    }
}

fn window(snapshot: &Snapshot, kind: RateKind) -> Option<&WindowSnapshot> {
    snapshot.windows.iter().find(|window| window.kind == kind)
}

/// In percent.
fn rate(window: Option<&WindowSnapshot>) -> Value {
    json!(
        window
            .and_then(|window| window.rate)
            .map(|rate| rate * 100.0)
    )
}
