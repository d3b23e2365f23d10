//! The scripted outage: steady calls to a dependency that hangs for a while, through a real circuit in virtual time.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tower_breaker::{
    BoxError, CircuitBreaker, Permit, Reason, State,
    breaker::{Cause, OpenWait, Ramp},
};

// All times are in milliseconds from the beginning.
pub const END: u64 = 60_000;
pub const DOWN: Range<u64> = 8_000..34_000;
pub const BETWEEN_CALLS: u64 = 100;
const ANSWER: u64 = 50;
const TIME_OUT: u64 = 1_000;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Succeeded,
    Failed,
    Refused(Reason),
}

/// A stretch of time in one state.
#[derive(Debug)]
pub struct Episode {
    pub state: State,
    pub time: Range<u64>,
    /// Why it began; `None` for the first.
    pub cause: Option<Cause>,
}

/// What happened.
#[derive(Debug)]
pub struct Record {
    /// When each call began and how it ended.
    pub calls: Vec<(u64, End)>,
    pub episodes: Vec<Episode>,
    /// Results that came too late for the episode that admitted their call.
    pub stale: u64,
}

/// Plays the outage.
pub fn play() -> Result<Record, BoxError> {
    let origin = Instant::now();
    let time = Arc::new(AtomicU64::new(0));
    let clock = {
        let time = time.clone();
        move || origin + Duration::from_millis(time.load(Ordering::Relaxed))
    };
    let breaker = CircuitBreaker::builder("stock")
        .consecutive_failures(5)
        .open_for(OpenWait::exponential(Duration::from_secs(4)))
        .success_threshold(3)
        .ramp(Ramp::over(Duration::from_secs(10)).from(0.1))
        .clock(clock)
        .build()?;

    let mut calls = Vec::new();
    // By the time at which they end, and their number.
    let mut under_way: BTreeMap<(u64, usize), (Permit, End)> = BTreeMap::new();
    for begin in (0..END).step_by(BETWEEN_CALLS as usize) {
        while let Some(entry) = under_way.first_entry()
            && entry.key().0 <= begin
        {
            finish(&time, entry.remove_entry());
        }
        time.store(begin, Ordering::Relaxed);
        let (end, lasts) = match DOWN.contains(&begin) {
            true => (End::Failed, TIME_OUT),
            false => (End::Succeeded, ANSWER),
        };
        match breaker.try_acquire() {
            Ok(permit) => {
                under_way.insert((begin + lasts, calls.len()), (permit, end));
                calls.push((begin, end));
            }
            Err(refused) => calls.push((begin, End::Refused(refused.reason()))),
        }
    }
    while let Some(call) = under_way.pop_first() {
        finish(&time, call);
    }

    let mut episodes = vec![Episode {
        state: State::Closed,
        time: 0..END,
        cause: None,
    }];
    for change in breaker.recent_transitions() {
        let at = change.at.duration_since(origin).as_millis() as u64;
        if let Some(before) = episodes.last_mut() {
            before.time.end = at;
        }
        episodes.push(Episode {
            state: change.to,
            time: at..END,
            cause: Some(change.cause),
        });
    }
    Ok(Record {
        calls,
        episodes,
        stale: breaker.snapshot().stale,
    })
}

fn finish(time: &AtomicU64, ((at, _), (permit, end)): ((u64, usize), (Permit, End))) {
    time.store(at, Ordering::Relaxed);
    match end {
        End::Succeeded => permit.success(),
        _ => permit.failure(),
    }
}

impl Record {
    /// How many calls that began in this time ended so.
    pub fn count(&self, time: &Range<u64>, is: impl Fn(End) -> bool) -> usize {
        let calls = self.calls.iter().filter(|(at, _)| time.contains(at));
        calls.filter(|(_, end)| is(*end)).count()
    }

    /// How long after the beginning of this episode calls were still refused because of the ramp.
    pub fn ramp(&self, episode: &Episode) -> Option<Range<u64>> {
        let ramping =
            self.calls.iter().rev().find(|(at, end)| {
                episode.time.contains(at) && *end == End::Refused(Reason::Ramping)
            });
        ramping.map(|(at, _)| episode.time.start..*at)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for episode in &self.episodes {
            let cause = episode.cause.map_or("", |cause| cause.as_str());
            let seconds = |ms: u64| ms as f64 / 1000.0;
            let (from, to) = (seconds(episode.time.start), seconds(episode.time.end));
            writeln!(
                f,
                "{from:6.2} s to {to:6.2} s  {:9}  {cause}",
                episode.state
            )?;
            if let Some(ramp) = self.ramp(episode) {
                writeln!(f, "{:29}ramp until {:.2} s", "", seconds(ramp.end))?;
            }
        }
        let all = 0..END;
        let admitted = self.count(&all, |end| !matches!(end, End::Refused(_)));
        let failed = self.count(&all, |end| end == End::Failed);
        let hanging = self.count(&DOWN, |_| true);
        writeln!(
            f,
            "{} calls, {hanging} of them while the dependency hung: {failed} waited for the time-out ({} of these ended too \
             late to decide anything), {} were refused at once, {} succeeded",
            self.calls.len(),
            self.stale,
            self.calls.len() - admitted,
            admitted - failed,
        )
    }
}
