use std::{sync::Arc, time::Duration};

use super::{
    Bulkhead,
    gate::{Gate, Settings},
    word::{MAX_CONCURRENT, MAX_QUEUE},
};
use crate::{BuildError, Problem, striped};

const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Collects the limits of a [`Bulkhead`]; see [`Bulkhead::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct BulkheadBuilder {
    name: Arc<str>,
    max_concurrent: Option<usize>,
    max_queue: usize,
    max_wait: Option<Duration>,
}

impl BulkheadBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            max_concurrent: None,
            max_queue: 0,
            max_wait: None,
        }
    }

    /// How many calls may run at once: 1 to 250,000. There is no default, since no number is right for every dependency.
    pub fn max_concurrent(mut self, calls: usize) -> Self {
        self.max_concurrent = Some(calls);
        self
    }

    /// How many calls may wait when none may run: 0, the default, to 16,000.
    ///
    /// The waiting places are laid out when the bulkhead is built (about 32 bytes for each call that may wait or run),
    /// so that waiting allocates nothing.
    pub fn max_queue(mut self, calls: usize) -> Self {
        self.max_queue = calls;
        self
    }

    /// How long a call may wait: up to a day. Without it a call waits until its turn comes or its caller goes away, which
    /// is safe because the queue is bounded. It needs a queue to make sense, and tokio's timer to be running when a
    /// call waits.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = Some(wait);
        self
    }

    /// Builds the bulkhead.
    ///
    /// # Errors
    ///
    /// Names every option that is missing or out of range, all at once.
    pub fn build(self) -> Result<Bulkhead, BuildError> {
        self.build_as(false)
    }

    /// As [`build`](Self::build). `compact`: for bulkheads of which there are thousands, with what is there for each thread in one
    /// place for all.
    pub(crate) fn build_as(self, compact: bool) -> Result<Bulkhead, BuildError> {
        let mut problems = Vec::new();
        if self.name.is_empty() {
            problems.push(Problem::new(
                "name",
                &*self.name,
                "any text but the empty one",
            ));
        }
        let allowed = format!("1 to {MAX_CONCURRENT}");
        let max_concurrent = self.max_concurrent.unwrap_or_else(|| {
            problems.push(Problem::new("max_concurrent", None::<usize>, &allowed));
            1
        });
        if !(1..=MAX_CONCURRENT).contains(&max_concurrent) {
            problems.push(Problem::new("max_concurrent", max_concurrent, &allowed));
        }
        if self.max_queue > MAX_QUEUE {
            problems.push(Problem::new(
                "max_queue",
                self.max_queue,
                format_args!("0 to {MAX_QUEUE}"),
            ));
        }
        if let Some(wait) = self.max_wait {
            if wait.is_zero() || wait > LONGEST_WAIT {
                let allowed = format_args!(
                    "more than 0 s, to {LONGEST_WAIT:?} (with no `max_queue` no call waits)"
                );
                problems.push(Problem::new("max_wait", wait, allowed));
            } else if self.max_queue == 0 {
                let allowed = "nothing while `max_queue` is 0, because then no call waits";
                problems.push(Problem::new("max_wait", wait, allowed));
            }
        }
        BuildError::check("bulkhead", &self.name, problems)?;

        let settings = Settings {
            name: self.name,
            max_concurrent,
            max_queue: self.max_queue,
            max_wait: self.max_wait,
        };
        Ok(if compact {
            Bulkhead::from_gate(Gate::compact(settings), 1)
        } else {
            Bulkhead::from_gate(Gate::new(settings), striped::copies())
        })
    }
}
