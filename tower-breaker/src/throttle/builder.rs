use std::{fmt, sync::Arc, time::Duration};

use super::{
    Throttle,
    shared::{Settings, Shared},
};
use crate::{
    BuildError, Problem,
    breaker::{Clock, TokioClock},
    dice::Dice,
};

const SHORTEST_WINDOW: Duration = Duration::from_secs(1);
const LONGEST_WINDOW: Duration = Duration::from_secs(60 * 60);
const LARGEST_K: f64 = 100.0;
// Less than what a full window counts exactly.
const LARGEST_MINIMUM: u32 = 1_000_000;

/// Collects the options of a [`Throttle`]; see [`Throttle::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct ThrottleBuilder {
    name: Arc<str>,
    settings: Settings,
    window: Duration,
    clock: Box<dyn Clock>,
    seed: Option<u64>,
}

impl ThrottleBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            settings: Settings {
                k: 2.0,
                max_probability: 0.95,
                minimum_requests: 20,
                count_abandoned: false,
                dry_run: false,
            },
            window: Duration::from_secs(120),
            clock: Box::new(TokioClock),
            seed: None,
        }
    }

    /// How many calls may be made for each that is accepted, before any is refused: 1 to 100. The default is the book's 2.
    ///
    /// Nearer to 1 the backend sees fewer calls that it rejects, and the throttle notices later that it could take more;
    /// at exactly 1, a single failure is enough to refuse some.
    pub fn k(mut self, k: f64) -> Self {
        self.settings.k = k;
        self
    }

    /// Over which time calls are counted: 1 s to 1 h. The default is the book's 2 minutes. A shorter one recovers faster, and
    /// needs more calls a second to know anything.
    pub fn window(mut self, length: Duration) -> Self {
        self.window = length;
        self
    }

    /// The largest probability with which a call is refused: more than 0, up to 1. The default is 0.95, so that at least one
    /// call in twenty gets through to see whether the backend has recovered. 1 is the book's formula, without a limit.
    pub fn max_probability(mut self, probability: f64) -> Self {
        self.settings.max_probability = probability;
        self
    }

    /// How many requests the window must hold before any is refused: 0 to 1,000,000. The default is 20.
    pub fn minimum_requests(mut self, requests: u32) -> Self {
        self.settings.minimum_requests = requests;
        self
    }

    /// Counts a call that is given up before it ends as not accepted. By default it is not counted at all, since a
    /// client who hangs up says nothing about the backend. Use this if the time-out is outside of the throttle.
    pub fn count_abandoned(mut self) -> Self {
        self.settings.count_abandoned = true;
        self
    }

    /// Refuses nothing, and only counts what would have been refused: to try out settings on live traffic. The default is `false`.
    /// [`Throttle::set_dry_run`] changes it later.
    ///
    /// The calls that would have been refused are made, and count as they end. If the backend accepts as many calls as it can do, whatever
    /// is offered, then what would have been refused is as much as without a dry run. If it accepts a fixed share, it is less.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.settings.dry_run = dry_run;
        self
    }

    /// Where the time comes from. The default is tokio's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Makes what is refused by chance repeatable, for tests. By default each throttle is seeded differently.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds the throttle.
    ///
    /// # Errors
    ///
    /// Names every option that is out of range, all at once.
    pub fn build(self) -> Result<Throttle, BuildError> {
        let mut problems = Vec::new();
        let settings = self.settings;
        if self.name.is_empty() {
            problems.push(Problem::new(
                "name",
                &*self.name,
                "any text but the empty one",
            ));
        }
        if !(1.0..=LARGEST_K).contains(&settings.k) {
            let allowed = format!("1 to {LARGEST_K}");
            problems.push(Problem::new("k", settings.k, allowed));
        }
        if !(SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&self.window) {
            let allowed = format!("{SHORTEST_WINDOW:?} to 1 h");
            problems.push(Problem::new("window", self.window, allowed));
        }
        // Written so that NaN is caught too.
        if !(settings.max_probability > 0.0 && settings.max_probability <= 1.0) {
            let allowed = "more than 0, up to 1";
            problems.push(Problem::new(
                "max_probability",
                settings.max_probability,
                allowed,
            ));
        }
        if settings.minimum_requests > LARGEST_MINIMUM {
            problems.push(Problem::new(
                "minimum_requests",
                settings.minimum_requests,
                format_args!("0 to {LARGEST_MINIMUM}"),
            ));
        }
        BuildError::check("throttle", &self.name, problems)?;
        let dice = self.seed.map_or_else(Dice::any, Dice::new);
        let shared = Shared::new(self.name, settings, self.window, self.clock, dice);
        Ok(Throttle::from_shared(shared))
    }
}

impl fmt::Debug for ThrottleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThrottleBuilder")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
