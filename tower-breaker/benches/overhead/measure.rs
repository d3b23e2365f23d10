//! Time slices, interleaved over all cases.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    allocations,
    work::{Calls, Case, Kind, Pace},
};

#[derive(Clone, Copy)]
pub struct Plan {
    pub rounds: usize,
    /// How long one case runs in one round, with each number of threads.
    pub slice: Duration,
}

pub struct Row {
    pub case: &'static str,
    pub threads: usize,
    pub ns_per_call: f64,
    pub ratio_to_floor: f64,
    pub allocations_per_call: f64,
    /// Part of the results, and not only printed beside them.
    pub is_result: bool,
    pub must_not_allocate: bool,
    /// Hardly ever had the machine for itself, so that the times may be far off.
    pub is_disturbed: bool,
}

pub const THREADS: [usize; 2] = [1, 2];

// Between two looks at the clock, so that looking costs next to nothing.
const BATCH: u64 = 500;

// Fewer good slices than this, and the disturbed ones must do.
const ENOUGH: usize = 7;

// For how many more rounds than planned a case that has fewer goes on, so that a machine that is busy for a while is waited
// for, but not for ever.
const PATIENCE: usize = 250;

#[derive(Default)]
struct Series {
    undisturbed: Vec<f64>,
    disturbed: Vec<f64>,
    is_disturbed: bool,
    calls: u64,
    allocations: u64,
}

struct Slice {
    calls: u64,
    allocations: u64,
    time: Duration,
    start: Instant,
    // For how long another program had the processor that this thread wanted.
    delay: Duration,
}

/// One row for each case and number of threads, in that order.
pub fn run(cases: &[Case], plan: Plan) -> Vec<Row> {
    let mut series: Vec<[Series; THREADS.len()]> =
        cases.iter().map(|_| Default::default()).collect();
    let more = if plan.rounds < ENOUGH { 0 } else { PATIENCE };
    for round in 0..plan.rounds + more {
        for (case, series) in cases.iter().zip(&mut series) {
            for (threads, series) in THREADS.into_iter().zip(series) {
                if round < plan.rounds || series.undisturbed.len() < ENOUGH {
                    series.add(&slice(case, threads, plan.slice));
                }
            }
        }
    }

    let medians: Vec<[f64; THREADS.len()]> = series
        .iter_mut()
        .map(|series| series.each_mut().map(Series::median))
        .collect();
    let floor = cases
        .iter()
        .position(|case| case.kind == Kind::Floor)
        .map(|at| medians[at])
        .unwrap();
    let mut rows = Vec::new();
    for ((case, series), ns) in cases.iter().zip(&series).zip(&medians) {
        for (at, threads) in THREADS.into_iter().enumerate() {
            rows.push(Row {
                case: case.name,
                threads,
                ns_per_call: ns[at],
                ratio_to_floor: ns[at] / floor[at],
                allocations_per_call: series[at].allocations as f64 / series[at].calls as f64,
                is_result: case.kind != Kind::Context,
                must_not_allocate: case.kind == Kind::Ours,
                is_disturbed: series[at].is_disturbed,
            });
        }
    }
    rows
}

// All threads run for the whole of the slice, so that none ever has the guard for itself.
fn slice(case: &Case, threads: usize, length: Duration) -> Vec<Slice> {
    if let Some(prepare) = &case.prepare {
        prepare();
    }
    let shares: Vec<Calls> = (0..threads).map(|_| (case.thread)()).collect();
    let waiting = AtomicUsize::new(threads);
    let pace = case.pace;
    thread::scope(|scope| {
        let running: Vec<_> = shares
            .into_iter()
            .map(|mut calls| {
                let waiting = &waiting;
                scope.spawn(move || {
                    calls(match pace {
                        Pace::Timed => BATCH,
                        Pace::Calls(number) => number.div_ceil(10),
                    });
                    let delayed = delay();
                    waiting.fetch_sub(1, Ordering::SeqCst);
                    while waiting.load(Ordering::SeqCst) > 0 {
                        std::hint::spin_loop();
                    }
                    let mut slice = timed(&mut calls, pace, length);
                    slice.delay = Duration::from_nanos(delay() - delayed);
                    slice
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn timed(calls: &mut Calls, pace: Pace, length: Duration) -> Slice {
    let (batch, length) = match pace {
        Pace::Timed => (BATCH, length),
        Pace::Calls(number) => (number, Duration::ZERO),
    };
    let allocations = allocations::so_far();
    let mut done = 0;
    let start = Instant::now();
    let time = loop {
        calls(batch);
        done += batch;
        let time = start.elapsed();
        if time >= length {
            break time;
        }
    };
    let allocations = allocations::so_far() - allocations;
    Slice {
        calls: done,
        allocations,
        time,
        start,
        delay: Duration::ZERO,
    }
}

// Another program took a processor, or the threads did not run side by side. Then this measures neither a call nor two
// threads at once.
fn is_disturbed(slices: &[Slice]) -> bool {
    slices.iter().any(|slice| {
        let apart = slice.start.saturating_duration_since(slices[0].start)
            + slices[0].start.saturating_duration_since(slice.start);
        (slice.delay + apart) * 50 > slice.time
    })
}

// How many nanoseconds this thread has been ready to run while the processor was with somebody else, where the system
// says so.
fn delay() -> u64 {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    statistics
        .split_whitespace()
        .nth(1)
        .and_then(|delay| delay.parse().ok())
        .unwrap_or(0)
}

impl Series {
    // As a caller sees it: with two threads, how long one call of one of them takes.
    fn add(&mut self, slices: &[Slice]) {
        let calls: u64 = slices.iter().map(|slice| slice.calls).sum();
        let time: Duration = slices.iter().map(|slice| slice.time).sum();
        let ns = time.as_nanos() as f64 / calls as f64;
        match is_disturbed(slices) {
            true => self.disturbed.push(ns),
            false => self.undisturbed.push(ns),
        }
        self.calls += calls;
        self.allocations += slices.iter().map(|slice| slice.allocations).sum::<u64>();
    }

    fn median(&mut self) -> f64 {
        let mut ns = std::mem::take(&mut self.undisturbed);
        self.is_disturbed = ns.len() < ENOUGH;
        if self.is_disturbed {
            ns.append(&mut self.disturbed);
        }
        ns.sort_by(f64::total_cmp);
        ns[ns.len() / 2]
    }
}
