use std::{fmt, sync::Arc, time::Duration};

use super::{
    Bulkhead,
    adaptive::Adaptive,
    events::Event,
    gate::{Gate, Settings},
    journal::Listener,
    limit::{Algorithm, Window},
    partition::{self, Partition, PriorityShares},
    place::Priority,
    word::{MAX_CONCURRENT, MAX_QUEUE},
};
use crate::{
    BuildError, Problem,
    breaker::{Clock, TokioClock},
    label::Label,
};

const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What is wrong with a limit, if anything.
pub(super) fn limit_problem(max_concurrent: usize) -> Option<Problem> {
    let problem = || {
        let allowed = format!("1 to {MAX_CONCURRENT}");
        Problem::new("max_concurrent", max_concurrent, allowed)
    };
    (!(1..=MAX_CONCURRENT).contains(&max_concurrent)).then(problem)
}

/// Collects the limits of a [`Bulkhead`]; see [`Bulkhead::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct BulkheadBuilder {
    name: Arc<str>,
    max_concurrent: Option<usize>,
    max_queue: usize,
    max_wait: Option<Duration>,
    algorithm: Option<Box<dyn Algorithm>>,
    window: Option<Window>,
    clock: Option<Box<dyn Clock>>,
    partitions: Vec<Partition>,
    priority_shares: Vec<(Priority, f64)>,
    dry_run: bool,
    listeners: Vec<Listener>,
    // What is wrong with the algorithm that a configuration asks for, if it could not be built.
    #[cfg(feature = "serde")]
    no_algorithm: Option<Vec<Problem>>,
}

impl BulkheadBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            max_concurrent: None,
            max_queue: 0,
            max_wait: None,
            algorithm: None,
            window: None,
            clock: None,
            partitions: Vec::new(),
            priority_shares: Vec::new(),
            dry_run: false,
            listeners: Vec::new(),
            #[cfg(feature = "serde")]
            no_algorithm: None,
        }
    }

    /// How many calls may run at once: 1 to 250,000. There is no default, since no number is right for every dependency.
    pub fn max_concurrent(mut self, calls: usize) -> Self {
        self.max_concurrent = Some(calls);
        self
    }

    /// How many calls may wait when none may run: 0, the default, to 16,000.
    ///
    /// The waiting places are laid out when the bulkhead is built (about 48 bytes for each call that may wait or run),
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

    /// Lets the limit find itself, instead of [`max_concurrent`](Self::max_concurrent): [`Aimd`](super::limit::Aimd),
    /// [`Gradient2`](super::limit::Gradient2), [`Vegas`](super::limit::Vegas) or an algorithm of your own. See
    /// [`limit`](super::limit).
    ///
    /// Every admitted call then reads the clock twice. How calls went must be known: give the layer a classifier
    /// ([`classify`](super::BulkheadLayer::classify)), or [finish](super::BulkheadPermit::finish) the permits yourself.
    ///
    /// ```
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_breaker::{BoxError, Bulkhead, BulkheadLayer, bulkhead::limit::Gradient2, classify::Overload};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// let bulkhead = Bulkhead::builder("inventory")
    ///     .adaptive(Gradient2::builder().initial(20).max(500).build()?)
    ///     .build()?;
    /// let inventory = ServiceBuilder::new()
    ///     .layer(BulkheadLayer::new(bulkhead.clone()).classify(Overload))
    ///     .timeout(std::time::Duration::from_millis(500)) // further in, so that it is seen
    ///     .service(service_fn(async |item: u32| Ok::<_, BoxError>(item * 2)));
    /// assert_eq!(inventory.oneshot(21).await?, 42);
    /// assert_eq!(bulkhead.snapshot().max_concurrent, 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn adaptive(mut self, algorithm: impl Algorithm) -> Self {
        self.algorithm = Some(Box::new(algorithm));
        #[cfg(feature = "serde")]
        {
            self.no_algorithm = None;
        }
        self
    }

    /// As [`adaptive`](Self::adaptive); if there is no algorithm because of problems, these are named when the bulkhead is built.
    #[cfg(feature = "serde")]
    pub(super) fn adaptive_or(mut self, built: Result<Box<dyn Algorithm>, Vec<Problem>>) -> Self {
        match built {
            Ok(algorithm) => self.algorithm = Some(algorithm),
            Err(problems) => self.no_algorithm = Some(problems),
        }
        self
    }

    /// Over how long results are gathered before the [algorithm](Self::adaptive) sees them. The default is at least 100 ms and 10
    /// calls.
    pub fn limit_window(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    /// Where the time comes from, by which an [adaptive](Self::adaptive) limit measures calls and windows. The default is tokio's
    /// clock. Not for `max_wait`, which is always by tokio's timer.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    /// Divides the permits: some are for calls of this partition only, and it may have no more than so many. Up to 16 of them. Places
    /// in the queue are divided in the same shares. The default is no partition, and one common pool.
    pub fn partition(mut self, partition: Partition) -> Self {
        self.partitions.push(partition);
        self
    }

    /// Refuses calls of this priority, or lets them wait, when so large a share of the permits is out: more than 0, to 1, which is the
    /// default. The rest is for higher priorities. In permits it is rounded up, so that it is at least one.
    ///
    /// With partitions the share is of the common pool, and of what the call's partition may have in all. A higher priority must not
    /// have a smaller share than a lower one.
    pub fn priority_share(mut self, priority: Priority, share: f64) -> Self {
        self.priority_shares.push((priority, share));
        self
    }

    /// Refuses nothing, lets nobody wait, and only counts what would have been done: to try out limits on live traffic. The default is
    /// `false`. [`Bulkhead::set_dry_run`] changes it later.
    ///
    /// An [adaptive](Self::adaptive) limit cannot be tried out so. It learns from what its own steps bring about, and in a dry run they
    /// bring about nothing: whatever the load, it takes the latency that it sees for the usual one, and grows to about twice of what
    /// runs. Only drops still shrink it.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Adds a listener for [`Event`]s.
    ///
    /// It is called once for each, in order, on the thread that brought it about (or one that is delivering already), outside any
    /// lock: it may use the bulkhead's handle, but should not block. A panic in it is caught. While there is a listener, giving a
    /// permit back costs a little more from the moment the bulkhead is full until it is free again.
    pub fn listener(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// Builds the bulkhead.
    ///
    /// # Errors
    ///
    /// Names every option that is missing or out of range, all at once.
    pub fn build(self) -> Result<Bulkhead, BuildError> {
        self.build_with(false, Label::kept)
    }

    /// As [`build`](Self::build), for a registry, which forgets what it throws out. `compact`: for bulkheads of which there are thousands,
    /// with what is there for each thread in one place for all.
    pub(crate) fn build_keyed(self, compact: bool) -> Result<Bulkhead, BuildError> {
        self.build_with(compact, Label::counted)
    }

    fn build_with(
        self,
        compact: bool,
        label: fn(Arc<str>) -> Label,
    ) -> Result<Bulkhead, BuildError> {
        let mut problems = Vec::new();
        if self.name.is_empty() {
            problems.push(Problem::new(
                "name",
                &*self.name,
                "any text but the empty one",
            ));
        }
        let allowed = format!("1 to {MAX_CONCURRENT}");
        let limits = self.algorithm.as_deref().map(limits_of);
        // One that there might have been: all that is to be said about it is said.
        #[cfg(feature = "serde")]
        let limits = match &self.no_algorithm {
            None => limits,
            Some(found) => {
                problems.extend_from_slice(found);
                limits.or(Some((1, 1, 1)))
            }
        };
        let max_concurrent = match (self.max_concurrent, &limits) {
            (Some(calls), None) => {
                problems.extend(limit_problem(calls));
                calls
            }
            (None, None) => {
                problems.push(Problem::new("max_concurrent", None::<usize>, &allowed));
                1
            }
            (Some(calls), Some(_)) => {
                let allowed = "nothing beside `adaptive`, which finds the limit";
                problems.push(Problem::new("max_concurrent", calls, allowed));
                1
            }
            (None, Some((initial, min, max))) => {
                if !(1 <= *min && min <= initial && initial <= max && *max <= MAX_CONCURRENT) {
                    let allowed = format!("limits within {allowed}, `initial` among them");
                    problems.push(Problem::new("adaptive", (initial, min..=max), allowed));
                }
                *initial
            }
        };
        if let Some(window) = &self.window {
            window.check(&mut problems);
        }
        for (option, given) in [
            ("limit_window", self.window.is_some()),
            ("clock", self.clock.is_some()),
        ] {
            if given && limits.is_none() {
                let allowed = "nothing without `adaptive`, because then nothing is measured";
                problems.push(Problem::new(option, format_args!("set"), allowed));
            }
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
                let allowed = format!(
                    "more than 0 s, to {LONGEST_WAIT:?} (with no `max_queue` no call waits)"
                );
                problems.push(Problem::new("max_wait", wait, allowed));
            } else if self.max_queue == 0 {
                let allowed = "nothing while `max_queue` is 0, because then no call waits";
                problems.push(Problem::new("max_wait", wait, allowed));
            }
        }
        partition::check(&self.partitions, &mut problems);
        let priority_shares = self.check_priority_shares(&mut problems);
        BuildError::check("bulkhead", &self.name, problems)?;

        let settings = Settings {
            name: self.name,
            max_concurrent,
            max_queue: self.max_queue,
            max_wait: self.max_wait,
            partitions: self.partitions,
            priority_shares,
            dry_run: self.dry_run,
            listeners: self.listeners,
        };
        let adaptive = self.algorithm.zip(limits).map(|(algorithm, limits)| {
            let clock = self.clock.unwrap_or_else(|| Box::new(TokioClock));
            Adaptive::new(clock, algorithm, limits, self.window.unwrap_or_default())
        });
        let label = label(Arc::clone(&settings.name));
        let gate = Gate::with(settings, adaptive, compact, label);
        Ok(Bulkhead::from_gate(gate))
    }

    fn check_priority_shares(&self, problems: &mut Vec<Problem>) -> PriorityShares {
        // `None` where there is a problem, with which no other is compared.
        let mut shares = [Some(1.0); 3];
        for (priority, share) in &self.priority_shares {
            let is_in_range = *share > 0.0 && *share <= 1.0;
            if !is_in_range {
                let option = format!("priority_share.{priority}");
                problems.push(Problem::new(option, share, "more than 0, to 1"));
            }
            shares[*priority as usize] = is_in_range.then_some(*share);
        }
        let mut checked = PriorityShares::NONE;
        for priority in Priority::ALL {
            let (lower, rest) = shares.split_at(priority as usize);
            let Some(share) = rest[0] else { continue };
            checked.set(priority, share);
            let lower = lower.iter().flatten().copied().fold(0.0, f64::max);
            if share < lower {
                let option = format!("priority_share.{priority}");
                let allowed = format!("no less than that of a lower priority, {lower}");
                problems.push(Problem::new(option, share, allowed));
            }
        }
        checked
    }
}

// Where it begins, its least and its greatest.
fn limits_of(algorithm: &dyn Algorithm) -> (usize, usize, usize) {
    let bounds = algorithm.bounds();
    (algorithm.initial(), *bounds.start(), *bounds.end())
}

impl fmt::Debug for BulkheadBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadBuilder")
            .field("name", &self.name)
            .field("max_concurrent", &self.max_concurrent)
            .field("adaptive", &self.algorithm.as_deref().map(limits_of))
            .field("limit_window", &self.window)
            .field("max_queue", &self.max_queue)
            .field("max_wait", &self.max_wait)
            .field("partitions", &self.partitions)
            .field("priority_shares", &self.priority_shares)
            .field("dry_run", &self.dry_run)
            .field("listeners", &self.listeners.len())
            .finish_non_exhaustive()
    }
}
