//! What the run says about itself while it goes: a few moving lines on a terminal, an occasional plain one elsewhere.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::console;
use crate::load::{Phase, Variant};

/// Rates shown are over this long.
const RATE_WINDOW: Duration = Duration::from_secs(5);
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(5);

pub struct Progress {
    display: Display,
    state: Mutex<State>,
}

enum Display {
    Bar(ProgressBar),
    Lines,
    Silent,
}

struct State {
    title: &'static str,
    variants: Vec<Live>,
    started: Instant,
    phase: String,
    phase_started: Instant,
    phase_length: Duration,
    last_line: Instant,
}

#[derive(Default)]
struct Live {
    label: &'static str,
    recent: VecDeque<(Instant, bool)>,
}

impl Progress {
    /// `total` is the planned length of the load.
    pub fn new(title: &'static str, variants: &[Variant], total: Duration, wanted: bool) -> Self {
        let bar = ProgressBar::with_draw_target(
            Some(total.as_millis() as u64),
            ProgressDrawTarget::stderr(),
        );
        let display = match (wanted, bar.is_hidden()) {
            (false, _) => Display::Silent,
            (true, true) => Display::Lines,
            (true, false) => Display::Bar(bar),
        };
        if let Display::Bar(bar) = &display
            && let Ok(style) = ProgressStyle::with_template("  {prefix:<9} {bar:24} {msg}")
        {
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(title);
        }
        let now = Instant::now();
        let variants = variants
            .iter()
            .map(|v| Live {
                label: v.label,
                recent: VecDeque::new(),
            })
            .collect();
        let state = State {
            title,
            variants,
            started: now,
            phase: String::new(),
            phase_started: now,
            phase_length: Duration::ZERO,
            last_line: now,
        };
        Self {
            display,
            state: Mutex::new(state),
        }
    }

    pub fn phase(&self, phase: &Phase, index: usize, all: &[Phase]) {
        let mut state = self.state();
        let now = Instant::now();
        if index == 0 {
            state.started = now;
        }
        phase.label.clone_into(&mut state.phase);
        (state.phase_started, state.phase_length, state.last_line) = (now, phase.length, now);
        if let Display::Lines = self.display {
            let (title, length) = (state.title, phase.length.as_secs_f64());
            console::remark(&format!(
                "{title}: phase {} of {}, {} ({length:.0} s)",
                index + 1,
                all.len(),
                phase.label
            ));
        }
    }

    pub fn count(&self, variant: usize, failed: bool) {
        if let Some(live) = self.state().variants.get_mut(variant) {
            live.recent.push_back((Instant::now(), failed));
        }
    }

    pub fn tick(&self) {
        let mut state = self.state();
        let now = Instant::now();
        for live in &mut state.variants {
            while live
                .recent
                .front()
                .is_some_and(|(at, _)| now.duration_since(*at) > RATE_WINDOW)
            {
                live.recent.pop_front();
            }
        }
        match &self.display {
            Display::Bar(bar) => {
                bar.set_position(now.duration_since(state.started).as_millis() as u64);
                bar.set_message(state.block(now));
            }
            Display::Lines if now.duration_since(state.last_line) >= PLAIN_LINE_EVERY => {
                state.last_line = now;
                console::remark(&format!("{}:   {}", state.title, state.line(now)));
            }
            Display::Lines | Display::Silent => {}
        }
    }

    pub fn settling(&self) {
        if let Display::Bar(bar) = &self.display {
            bar.set_message("waiting for the last answers");
        }
    }

    pub fn done(&self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}

impl State {
    /// Where in the run it is.
    fn place(&self, now: Instant) -> String {
        let gone = now.duration_since(self.phase_started);
        let left = self.phase_length.saturating_sub(gone);
        format!(
            "{}: {:.0} s gone, {:.0} s left",
            self.phase,
            gone.as_secs_f64(),
            left.as_secs_f64()
        )
    }

    /// What each variant gets done, over the last seconds.
    fn rates(&self, now: Instant) -> impl Iterator<Item = String> {
        let window = now
            .duration_since(self.started)
            .min(RATE_WINDOW)
            .as_secs_f64()
            .max(0.1);
        self.variants.iter().map(move |live| {
            let answered = live.recent.len();
            let failed = live.recent.iter().filter(|(_, failed)| *failed).count();
            if answered == 0 {
                return format!("{}: no answers", live.label);
            }
            let share = failed as f64 * 100.0 / answered as f64;
            format!(
                "{}: {:.1} req/s, {share:.0} % failed",
                live.label,
                answered as f64 / window
            )
        })
    }

    /// All of it for a log.
    fn line(&self, now: Instant) -> String {
        std::iter::once(self.place(now))
            .chain(self.rates(now))
            .collect::<Vec<_>>()
            .join(" | ")
    }

    /// All of it beside and below a bar.
    fn block(&self, now: Instant) -> String {
        let below = self
            .rates(now)
            .map(|rates| format!("\n            {rates}"));
        std::iter::once(self.place(now)).chain(below).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_line_names_the_phase_and_every_variant_with_recent_rates() {
        let variants = [
            Variant {
                name: "a",
                label: "unprotected",
                protected: false,
            },
            Variant {
                name: "b",
                label: "protected",
                protected: true,
            },
        ];
        let phase = Phase {
            name: "failure",
            label: "failure",
            length: Duration::from_secs(20),
            fault: true,
        };
        let progress = Progress::new("outage", &variants, Duration::from_secs(20), false);
        progress.phase(&phase, 0, std::slice::from_ref(&phase));
        for _ in 0..10 {
            progress.count(0, true);
        }
        tokio::time::advance(Duration::from_secs(8)).await;
        for failed in [false, false, false, true] {
            progress.count(1, failed);
        }
        progress.tick();
        let line = progress.state().line(Instant::now());
        assert_eq!(
            line,
            "failure: 8 s gone, 12 s left | unprotected: no answers | protected: 0.8 req/s, 25 % failed"
        );
    }
}
