//! From a scenario's configuration to a breaker.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tower_breaker::{
    BuildError, CircuitBreaker, FailureRate, OpenWait, Recovery, SlowCallRate, TrialRate,
    breaker::CircuitBreakerBuilder,
};

use crate::fields::Fields;

/// So small a share that one of however many reaches it.
const ANY_SHARE: f64 = 1e-9;

pub struct Plan {
    builder: CircuitBreakerBuilder,
    /// What the circuit waits when it is opened by hand.
    pub wait: Duration,
    /// The arguments that the wait function was called with.
    pub asked: Arc<Mutex<Vec<u32>>>,
    /// A task is needed that makes the circuit half-open in time.
    pub timed: bool,
}

impl Plan {
    pub fn build(self) -> Result<CircuitBreaker, BuildError> {
        self.builder.build()
    }
}

#[derive(Clone, Copy)]
enum Window {
    Count(u32),
    Time(Duration, u32),
    Consecutive,
}

fn small(number: u64) -> u32 {
    number.try_into().unwrap()
}

pub fn plan(name: &str, config: &Value) -> Result<Plan, String> {
    // Virtual time: that of the test's runtime, which is paused.
    let (start, zero) = (std::time::Instant::now(), tokio::time::Instant::now());
    let clock = move || start + tokio::time::Instant::now().duration_since(zero);
    let mut plan = Plan {
        builder: CircuitBreaker::builder(name).clock(clock),
        wait: Duration::ZERO,
        asked: Arc::default(),
        timed: false,
    };
    let mut config = Fields::of("config", config)?;
    let window = window(config.object("window")?)?;
    plan.builder = trip(plan.builder, window, config.object("trip")?)?;
    plan = open(plan, config.object("open")?)?;
    plan.builder = half_open(plan.builder, config.object("half_open")?)?;
    plan.timed = config.flag("auto_half_open")?;
    if plan.timed {
        plan.builder = plan.builder.recovery(Recovery::Timed);
    }
    config.end()?;
    Ok(plan)
}

fn window(mut window: Fields<'_>) -> Result<Window, String> {
    let kind = window.word("kind")?;
    let read = match window.need("kind", kind)? {
        "count" => {
            let size = window.number("size")?;
            Window::Count(small(window.need("size", size)?))
        }
        "time" => {
            // The circuit is built, first used and the epoch begins at the same moment: however slices are aligned, it is there.
            match window.word("align")? {
                Some("epoch_second" | "first_use" | "construction") => {}
                other => return window.unknown("align", other),
            }
            let (length, slices) = (window.number("length_ms")?, window.number("slices")?);
            Window::Time(
                Duration::from_millis(window.need("length_ms", length)?),
                small(window.need("slices", slices)?),
            )
        }
        "consecutive" => Window::Consecutive,
        other => return window.unknown("kind", other),
    };
    window.end()?;
    Ok(read)
}

fn trip(
    mut builder: CircuitBreakerBuilder,
    window: Window,
    mut trip: Fields<'_>,
) -> Result<CircuitBreakerBuilder, String> {
    match trip.word("evaluate_on")? {
        None | Some("every_result") => {}
        other => return trip.unknown("evaluate_on", other),
    }
    let above = match trip.word("compare")? {
        None | Some(">=") => false,
        Some(">") => true,
        other => return trip.unknown("compare", other),
    };
    let minimum = trip.number("min_calls")?.map(small);
    // Tests are built with the Rust of today.
    #[allow(clippy::incompatible_msrv)]
    let share = |percent: u64| {
        let share = percent as f64 / 100.0;
        // "Above" is "at least the next number".
        if above { share.next_up() } else { share }
    };
    if let Some(limit) = trip.number("consecutive_failures")? {
        builder = builder.consecutive_failures(small(limit));
    }
    if let Some(percent) = trip.number("failure_rate_pct")? {
        let mut rate = match window {
            Window::Count(calls) => FailureRate::over_calls(calls),
            Window::Time(time, slices) => FailureRate::over_time(time).slices(slices),
            Window::Consecutive => return trip.unknown("failure_rate_pct", percent),
        };
        rate = rate.threshold(share(percent));
        if let Some(minimum) = minimum {
            rate = rate.minimum_calls(minimum);
        }
        builder = builder.failure_rate(rate);
    }
    if let Some(count) = trip.number("failure_count")?.map(small) {
        let Window::Count(calls) = window else {
            return trip.unknown("failure_count", count);
        };
        builder = builder.failure_rate(
            FailureRate::over_calls(calls)
                .threshold(ANY_SHARE)
                .minimum_calls(count)
                .minimum_failures(count),
        );
    }
    if let Some(limit) = trip.number("slow_call_ms")? {
        let mut rate = match window {
            Window::Count(calls) => SlowCallRate::over_calls(calls),
            Window::Time(time, slices) => SlowCallRate::over_time(time).slices(slices),
            Window::Consecutive => return trip.unknown("slow_call_ms", limit),
        };
        let percent = trip.number("slow_rate_pct")?;
        rate = rate
            .slower_than(Duration::from_millis(limit))
            .threshold(share(trip.need("slow_rate_pct", percent)?));
        if let Some(minimum) = minimum {
            rate = rate.minimum_calls(minimum);
        }
        builder = builder.slow_call_rate(rate);
    }
    trip.end()?;
    Ok(builder)
}

fn open(mut plan: Plan, mut open: Fields<'_>) -> Result<Plan, String> {
    let asked = plan.asked.clone();
    let wait = if let Some(list) = open.list("wait_list_ms")? {
        let list: Vec<u64> = list.iter().filter_map(Value::as_u64).collect();
        let then = open.number("then_ms")?;
        let then = open.need("then_ms", then)?;
        OpenWait::from_fn(move |attempt| {
            asked.lock().unwrap().push(attempt);
            Duration::from_millis(*list.get(attempt as usize).unwrap_or(&then))
        })
    } else if let Some(answer) = open.word("wait_fn")? {
        if answer != "returns_0" {
            return open.unknown("wait_fn", answer);
        }
        match open.word("records")? {
            Some("half_open_attempts") => {}
            other => return open.unknown("records", other),
        }
        OpenWait::from_fn(move |attempt| {
            asked.lock().unwrap().push(attempt);
            Duration::ZERO
        })
    } else {
        let wait = open.number("wait_ms")?;
        plan.wait = Duration::from_millis(open.need("wait_ms", wait)?);
        match open.get("backoff") {
            None => OpenWait::fixed(plan.wait),
            Some(backoff) => {
                let mut backoff = Fields::of("config.open.backoff", backoff)?;
                let factor = backoff.get("factor").and_then(Value::as_f64);
                let mut wait =
                    OpenWait::exponential(plan.wait).factor(backoff.need("factor", factor)?);
                if let Some(max) = backoff.number("max_ms")? {
                    wait = wait.max(Duration::from_millis(max));
                }
                backoff.end()?;
                wait
            }
        }
    };
    // `elapsed_rule` is ">=" for us; ">" is a difference.
    match open.word("elapsed_rule")? {
        None | Some(">=") => {}
        other => return open.unknown("elapsed_rule", other),
    }
    plan.builder = plan.builder.open_for(wait);
    open.end()?;
    Ok(plan)
}

fn half_open(
    builder: CircuitBreakerBuilder,
    mut half_open: Fields<'_>,
) -> Result<CircuitBreakerBuilder, String> {
    // Trials run one after the other, as many as it takes.
    let serial = half_open.get("permits").and_then(Value::as_str) == Some("unlimited_serial");
    let permits = if serial {
        1
    } else {
        half_open.number("permits")?.map_or(1, small)
    };
    let successes = half_open.number("success_threshold")?.map(small);
    let of = half_open.number("of")?.map(small);
    let rule = half_open.word("rule")?;
    let builder = match (rule, serial, successes, of) {
        (Some("rate_when_full"), false, None, None) => {
            builder.trial_rate(TrialRate::of_trials(permits))
        }
        // At most so many trials in all, not only at once.
        (Some("all_succeed_or_first_failure"), false, None, None) => {
            builder.trial_rate(TrialRate::of_trials(permits).threshold(ANY_SHARE))
        }
        (Some("all_succeed_or_first_failure"), true, Some(successes), None) => {
            builder.success_threshold(successes)
        }
        (Some("single_probe") | None, false, None, None) => builder.success_threshold(1),
        // As many failures as make the successes impossible.
        (Some("threshold_early"), false, Some(successes), Some(of)) => builder.trial_rate(
            TrialRate::of_trials(of).threshold(f64::from(of + 1 - successes) / f64::from(of)),
        ),
        other => return half_open.unknown("rule", other),
    };
    half_open.end()?;
    Ok(builder.half_open_trials(permits))
}
