//! A dependency in virtual time: so many workers, one queue in front of them, and calls that come whether or not the last ones
//! are done.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use tower_breaker::bulkhead::Outcome;

use crate::{
    chance::Chance,
    guard::{Guard, Permit},
};

pub const SECOND: u64 = 1_000_000_000;
const MS: f64 = 1e6;

/// How the dependency and its callers are from a moment on.
#[derive(Debug, Clone, Copy)]
pub struct Phase {
    pub name: &'static str,
    /// In seconds from the beginning.
    pub from: u64,
    pub workers: usize,
    /// How long a worker is busy with a call on average, in milliseconds. Exponentially distributed.
    pub service_ms: f64,
    /// Calls a second, at random times (Poisson).
    pub offered: f64,
}

impl Phase {
    /// The most calls a second that can be answered.
    pub fn capacity(&self) -> f64 {
        self.offered
            .min(self.workers as f64 * 1_000.0 / self.service_ms)
    }
}

/// What happened in one second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Second {
    /// On average over the calls that came, admitted or not. The same for the next.
    pub limit: f64,
    pub in_flight: f64,
    /// Calls answered in time.
    pub answered: u32,
    /// Calls that were given up after the time-out.
    pub timed_out: u32,
    pub refused: u32,
    /// How long the answered ones took on average, in milliseconds.
    pub latency_ms: f64,
}

pub struct World<'a> {
    pub phases: &'a [Phase],
    pub seconds: u64,
    pub time_out_ms: f64,
    pub seed: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival,
    TimesOut(usize),
    Answered(usize),
}

// A call is given up by its caller, but the dependency does not know and works on it all the same.
struct Call {
    permit: Option<Permit>,
    began: u64,
}

/// Plays it, one second after the other.
pub fn play(world: &World<'_>, guard: &Guard) -> Vec<Second> {
    let mut run = Run {
        world,
        guard,
        chance: Chance::seeded(world.seed),
        events: BinaryHeap::new(),
        happened: 0,
        calls: Vec::new(),
        waiting: VecDeque::new(),
        busy: 0,
        in_flight: 0,
        now: 0,
        seconds: Vec::new(),
        second: Tally::default(),
    };
    run.schedule(0, Event::Arrival);
    while run.seconds.len() < world.seconds as usize {
        run.next();
    }
    run.seconds
}

#[derive(Default)]
struct Tally {
    answered: u32,
    timed_out: u32,
    refused: u32,
    latency: u64,
    limits: u64,
    in_flight: u64,
    looks: u64,
}

struct Run<'a> {
    world: &'a World<'a>,
    guard: &'a Guard,
    chance: Chance,
    // By time, and by the order in which they were scheduled.
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    happened: u64,
    calls: Vec<Call>,
    waiting: VecDeque<usize>,
    busy: usize,
    in_flight: u64,
    now: u64,
    seconds: Vec<Second>,
    second: Tally,
}

impl Run<'_> {
    fn phase(&self) -> Phase {
        let begun = |phase: &&Phase| phase.from * SECOND <= self.now;
        let phases = self.world.phases;
        *phases.iter().rev().find(begun).unwrap_or(&phases[0])
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.happened += 1;
        self.events.push(Reverse((at, self.happened, event)));
    }

    fn next(&mut self) {
        // An arrival always schedules the next one, so there is always something to come.
        let Some(Reverse((at, _, event))) = self.events.pop() else {
            return;
        };
        while at >= (self.seconds.len() as u64 + 1) * SECOND {
            self.close_second();
        }
        self.now = at;
        match event {
            Event::Arrival => self.arrival(),
            Event::Answered(call) => self.answered(call),
            Event::TimesOut(call) => {
                if let Some(permit) = self.calls[call].permit.take() {
                    self.in_flight -= 1;
                    self.second.timed_out += 1;
                    self.guard.finish(permit, self.now, Outcome::Overload);
                }
            }
        }
        self.work();
    }

    fn arrival(&mut self) {
        let gap = self
            .chance
            .exponential(SECOND as f64 / self.phase().offered);
        self.schedule(self.now + gap as u64, Event::Arrival);
        self.second.limits += self.guard.limit() as u64;
        self.second.in_flight += self.in_flight;
        self.second.looks += 1;
        let Some(permit) = self.guard.try_enter(self.now) else {
            self.second.refused += 1;
            return;
        };
        self.in_flight += 1;
        let call = self.calls.len();
        self.calls.push(Call {
            permit: Some(permit),
            began: self.now,
        });
        self.waiting.push_back(call);
        let time_out = (self.world.time_out_ms * MS) as u64;
        self.schedule(self.now + time_out, Event::TimesOut(call));
    }

    // Workers take what waits. Fewer workers than before finish what they are at.
    fn work(&mut self) {
        let phase = self.phase();
        while self.busy < phase.workers
            && let Some(call) = self.waiting.pop_front()
        {
            self.busy += 1;
            let takes = self.chance.exponential(phase.service_ms * MS);
            self.schedule(self.now + takes as u64, Event::Answered(call));
        }
    }

    fn answered(&mut self, call: usize) {
        self.busy -= 1;
        if let Some(permit) = self.calls[call].permit.take() {
            self.in_flight -= 1;
            self.second.answered += 1;
            self.second.latency += self.now - self.calls[call].began;
            self.guard.finish(permit, self.now, Outcome::Success);
        }
    }

    fn close_second(&mut self) {
        let tally = std::mem::take(&mut self.second);
        let mean = |sum: u64, of: u64| sum as f64 / of.max(1) as f64;
        self.seconds.push(Second {
            limit: mean(tally.limits, tally.looks),
            in_flight: mean(tally.in_flight, tally.looks),
            answered: tally.answered,
            timed_out: tally.timed_out,
            refused: tally.refused,
            latency_ms: mean(tally.latency, tally.answered.into()) / MS,
        });
    }
}
