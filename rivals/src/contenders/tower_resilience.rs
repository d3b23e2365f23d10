//! tower-resilience's circuit breaker, with one circuit behind all services of a layer (`build_with_handle`), which is the
//! only way to share one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::runtime::Runtime;
use tower::layer::Layer as _;
use tower_resilience_circuitbreaker::{
    CircuitBreakerConfigBuilder, CircuitBreakerLayer, SlidingWindowType,
};

use super::{CALLS, Contender, FOREVER, MINIMUM, RATE, WINDOW, contender, with_runtime};
use crate::{
    entry::{Role, Work},
    work::{Bare, Calls, Case, Kind, Pace, calls_to},
};

pub fn all(runtime: &Arc<Runtime>) -> Vec<Contender> {
    let slow = Duration::from_secs(1);
    with_runtime(
        runtime,
        vec![
            rival(
                Work::Consecutive,
                closed(
                    "tower-resilience consecutive",
                    builder().consecutive_failures(5),
                ),
            ),
            rival(Work::Count, closed("tower-resilience count", builder())),
            rival(
                Work::CountAndSlow,
                closed(
                    "tower-resilience count and slow",
                    builder()
                        .slow_call_duration_threshold(slow)
                        .slow_call_rate_threshold(RATE),
                ),
            ),
            rival(
                Work::Time1k,
                filled("tower-resilience time 1k", runtime, 1_000, 100),
            ),
            rival(
                Work::Time10k,
                filled("tower-resilience time 10k", runtime, 10_000, 100),
            ),
            rival(
                Work::Time100k,
                filled("tower-resilience time 100k", runtime, 100_000, 20),
            ),
            rival(Work::Refusal, open(runtime)),
        ],
    )
}

fn rival(work: Work, case: Case) -> Contender {
    contender(
        work,
        Role::Rival,
        "tower-resilience-circuitbreaker",
        "",
        case,
    )
}

fn builder() -> CircuitBreakerConfigBuilder {
    CircuitBreakerLayer::builder()
        .failure_rate_threshold(RATE)
        .sliding_window_size(CALLS as usize)
        .minimum_number_of_calls(MINIMUM as usize)
        .wait_duration_in_open(FOREVER)
}

fn closed(name: &'static str, builder: CircuitBreakerConfigBuilder) -> Case {
    let (layer, _) = builder.build_with_handle().unwrap();
    Case::new(name, Kind::Context, move || layer.layer(Bare))
}

fn open(runtime: &Runtime) -> Case {
    let (layer, handle) = builder().build_with_handle().unwrap();
    runtime.block_on(handle.force_open());
    Case::new("tower-resilience open", Kind::Context, move || {
        layer.layer(Bare)
    })
}

// It looks at every call in the window after each call. So that there are about as many as the row says, the window is
// filled with nine tenths of them and emptied again before it holds eleven.
fn filled(name: &'static str, runtime: &Arc<Runtime>, calls: u64, per_slice: u64) -> Case {
    let (layer, handle) = builder()
        .sliding_window_type(SlidingWindowType::TimeBased)
        .sliding_window_duration(WINDOW)
        .build_with_handle()
        .unwrap();
    let in_window = Arc::new(AtomicU64::new(u64::MAX));

    let prepare = {
        let (layer, in_window, runtime) = (layer.clone(), Arc::clone(&in_window), runtime.clone());
        move || {
            // Two threads, and a tenth more for warming up.
            let soon = in_window
                .load(Ordering::Relaxed)
                .saturating_add(per_slice * 22 / 10);
            if soon > calls * 11 / 10 {
                // Only a transition empties the window.
                runtime.block_on(handle.force_open());
                runtime.block_on(handle.force_closed());
                calls_to(layer.layer(Bare))(calls * 9 / 10);
                in_window.store(calls * 9 / 10, Ordering::Relaxed);
            }
        }
    };
    let thread = move || -> Calls {
        let mut calls = calls_to(layer.layer(Bare));
        let in_window = Arc::clone(&in_window);
        Box::new(move |number| {
            calls(number);
            in_window.fetch_add(number, Ordering::Relaxed);
        })
    };
    Case {
        pace: Pace::Calls(per_slice),
        prepare: Some(Box::new(prepare)),
        ..Case::of_calls(name, Kind::Context, thread)
    }
}
