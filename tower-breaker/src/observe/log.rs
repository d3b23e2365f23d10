//! Guards as `tracing` events.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Found, Guards, since::Since};
use crate::{
    State, Transition,
    bulkhead::{self, EventKind},
};

/// Makes a transition a `tracing` event, at once. For [`listener`](crate::breaker::CircuitBreakerBuilder::listener):
///
/// ```
/// use tower_breaker::{CircuitBreaker, observe};
///
/// let breaker = CircuitBreaker::builder("inventory")
///     .consecutive_failures(5)
///     .listener(observe::log_transition)
///     .build()?;
/// # let _ = breaker;
/// # Ok::<(), tower_breaker::BuildError>(())
/// ```
///
/// The event's target is `tower_breaker`. To open is a warning, any other transition is information. Its fields: `name`,
/// `from`, `to`, `cause`, `generation`; and of the episode that ended, `lasted_seconds`, `admitted`, `failed`, `slow`, `refused`,
/// `would_refuse` (see [`Episode`](crate::breaker::Episode)).
pub fn log_transition(transition: &Transition) {
    macro_rules! event {
        ($level:ident, $text:literal) => {
            tracing::event!(
                target: "tower_breaker",
                tracing::Level::$level,
                name = &*transition.name,
                from = transition.from.as_str(),
                to = transition.to.as_str(),
                cause = transition.cause.as_str(),
                generation = transition.generation,
                lasted_seconds = transition.ended.lasted.as_secs_f64(),
                admitted = transition.ended.admitted,
                failed = transition.ended.failed,
                slow = transition.ended.slow,
                refused = transition.ended.refused,
                would_refuse = transition.ended.would_refuse,
                $text
            )
        };
    }
    match transition.to {
        State::Open => event!(WARN, "the circuit opened"),
        State::HalfOpen => event!(INFO, "the circuit is half-open"),
        State::Closed => event!(INFO, "the circuit closed"),
    }
}

/// Makes what happens to a bulkhead a `tracing` event, at once. For [`listener`](crate::bulkhead::BulkheadBuilder::listener):
///
/// ```
/// use std::time::Duration;
/// use tower_breaker::{Bulkhead, observe};
///
/// let bulkhead = Bulkhead::builder("inventory")
///     .max_concurrent(64)
///     .listener(observe::log_bulkhead_events(Duration::from_secs(10)))
///     .build()?;
/// # let _ = bulkhead;
/// # Ok::<(), tower_breaker::BuildError>(())
/// ```
///
/// So the first call that a full bulkhead refuses, or lets wait, is told of at once, and the others are not: see [`RefusalLog`].
/// A small bulkhead may be full and free again with every call. So that it is full is told at most once in the given time, with how
/// often it was full `untold` before; that it has room again is told if that it was full was. So one that became full again within that
/// time, and has stayed so, was last told of as having room: that calls are refused is what [`RefusalLog`] tells.
///
/// The event's target is `tower_breaker`, its fields `name`, `untold`, and the limit `from` and `to` for a changed one. To be full
/// is a warning, the others are information.
pub fn log_bulkhead_events(
    at_most_every: Duration,
) -> impl Fn(&bulkhead::Event) + Send + Sync + 'static {
    let told = Mutex::new(Told::default());
    move |event| {
        let name = &*event.name;
        match event.kind {
            EventKind::Saturated => {
                let untold = lock(&told).saturated(event.at, at_most_every);
                if let Some(untold) = untold {
                    tracing::warn!(target: "tower_breaker", name, untold, "the bulkhead is full");
                }
            }
            EventKind::Relieved => {
                if lock(&told).relieved() {
                    tracing::info!(target: "tower_breaker", name, "the bulkhead has room again");
                }
            }
            EventKind::Resized { from, to } => {
                tracing::info!(target: "tower_breaker", name, from, to, "the bulkhead's limit changed");
            }
        }
    }
}

/// What has been told of a bulkhead.
#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    untold: u64,
    is_full: bool,
}

impl Told {
    /// How often it has been untold, if this is to be told.
    fn saturated(&mut self, at: Instant, at_most_every: Duration) -> Option<u64> {
        let since = self.last.map(|last| at.saturating_duration_since(last));
        if since.is_some_and(|since| since < at_most_every) {
            self.untold += 1;
            return None;
        }
        self.last = Some(at);
        self.is_full = true;
        Some(std::mem::take(&mut self.untold))
    }

    fn relieved(&mut self) -> bool {
        std::mem::take(&mut self.is_full)
    }
}

// No code of the user's runs under these locks.
fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes refusals `tracing` events: for each name whose guards have refused since the last look, one event that says how many and why.
/// So whatever the load, there is no more than one per name, kind of guard and look, and a refusal itself costs nothing more.
///
/// That a guard begins to refuse is told at once, by [`log_transition`] and [`log_bulkhead_events`]; and so is how many calls an
/// open circuit has refused, when it is over.
///
/// ```no_run
/// # use std::time::Duration;
/// use tower_breaker::observe::{Guards, RefusalLog};
///
/// # async fn start() {
/// let guards = Guards::new();
/// tokio::spawn(RefusalLog::new(guards).run(Duration::from_secs(10)));
/// # }
/// ```
///
/// The events are warnings with the target `tower_breaker`. Their fields: `guard` (`circuit_breaker`, `bulkhead` or `throttle`), `name`,
/// `refused` and, where there are several, how many of them for each [`Reason`](crate::Reason), under the reason's name; `would_refuse` and, of
/// a bulkhead, `would_wait` count the calls that a guard in a dry run admitted all the same.
pub struct RefusalLog {
    guards: Guards,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    breakers: Since,
    bulkheads: Since,
    throttles: Since,
}

impl RefusalLog {
    /// Will report what these guards refuse from now on, and those that are added to them later.
    pub fn new(guards: Guards) -> Self {
        let mut seen = Seen::default();
        // What was refused before now is not news.
        seen.look(guards.look());
        Self {
            guards,
            seen: Mutex::new(seen),
        }
    }

    /// Reports what was refused since the last time.
    ///
    /// # Panics
    ///
    /// When a [source](Guards::source) does, or the subscriber.
    pub fn report(&self) {
        let found = self.guards.look();
        // The subscriber is the user's: it is told when the lock has been released.
        let (breakers, bulkheads, throttles) = lock(&self.seen).look(found);
        breakers.iter().for_each(tell_of_breaker);
        bulkheads.iter().for_each(tell_of_bulkhead);
        throttles.iter().for_each(tell_of_throttle);
    }

    /// [Reports](Self::report) every so often, for as long as it is polled. Spawn it; dropped, it stops.
    ///
    /// # Panics
    ///
    /// If no tokio timer is running, or the interval is zero.
    pub async fn run(self, every: Duration) {
        super::at_intervals(every, || self.report()).await;
    }
}

impl fmt::Debug for RefusalLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusalLog")
            .field("guards", &self.guards)
            .finish_non_exhaustive()
    }
}

/// What the guards of each name have refused since the last look, by reason.
struct News<const N: usize> {
    refusals: Vec<(Arc<str>, [u64; N])>,
    places: HashMap<Arc<str>, usize>,
}

impl<const N: usize> News<N> {
    fn new() -> Self {
        Self {
            refusals: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// Guards may share a name, and thousands do that of what has no name of its own.
    fn add(&mut self, name: Arc<str>, more: impl Iterator<Item = u64>) {
        let mut grown = [0; N];
        grown.iter_mut().zip(more).for_each(|(to, from)| *to = from);
        if grown == [0; N] {
            return;
        }
        let place = *self.places.entry(name).or_insert_with_key(|name| {
            self.refusals.push((Arc::clone(name), [0; N]));
            self.refusals.len() - 1
        });
        let (_, sums) = &mut self.refusals[place];
        sums.iter_mut()
            .zip(grown)
            .for_each(|(to, from)| *to += from);
    }
}

type Refusals<const N: usize> = Vec<(Arc<str>, [u64; N])>;

impl Seen {
    fn look(&mut self, found: Found) -> (Refusals<5>, Refusals<7>, Refusals<2>) {
        let (mut breakers, mut bulkheads) = (News::new(), News::new());
        let mut throttles = News::new();
        self.breakers.begin();
        for (name, snapshot) in found.breakers {
            let refused = snapshot.refused_by;
            let totals = [
                refused.circuit_open,
                refused.half_open_full,
                refused.forced_open,
                refused.ramping,
                snapshot.would_refuse,
            ];
            if let Some(more) = self.breakers.advance(snapshot.id, totals.into_iter()) {
                breakers.add(name, more);
            }
        }
        self.breakers.end();
        self.bulkheads.begin();
        for (name, snapshot) in found.bulkheads {
            let refused = snapshot.refused;
            let would = snapshot.would_refuse;
            let totals = [
                refused.full,
                refused.queue_full,
                refused.waited_too_long,
                refused.displaced,
                would.full,
                would.queue_full,
                would.waited,
            ];
            if let Some(more) = self.bulkheads.advance(snapshot.id, totals.into_iter()) {
                bulkheads.add(name, more);
            }
        }
        self.bulkheads.end();
        self.throttles.begin();
        for (name, snapshot) in found.throttles {
            let totals = [snapshot.refused, snapshot.would_refuse];
            if let Some(more) = self.throttles.advance(snapshot.id, totals.into_iter()) {
                throttles.add(name, more);
            }
        }
        self.throttles.end();
        (breakers.refusals, bulkheads.refusals, throttles.refusals)
    }
}

fn tell_of_breaker((name, refused): &(Arc<str>, [u64; 5])) {
    let [
        circuit_open,
        half_open_full,
        forced_open,
        ramping,
        would_refuse,
    ] = refused;
    tracing::warn!(
        target: "tower_breaker",
        guard = "circuit_breaker",
        name = &**name,
        refused = circuit_open + half_open_full + forced_open + ramping,
        circuit_open,
        half_open_full,
        forced_open,
        ramping,
        would_refuse,
        "calls refused"
    );
}

fn tell_of_bulkhead((name, refused): &(Arc<str>, [u64; 7])) {
    let [
        bulkhead_full,
        queue_full,
        waited_too_long,
        displaced,
        would_be_full,
        would_be_queue_full,
        would_wait,
    ] = refused;
    tracing::warn!(
        target: "tower_breaker",
        guard = "bulkhead",
        name = &**name,
        refused = bulkhead_full + queue_full + waited_too_long + displaced,
        bulkhead_full,
        queue_full,
        waited_too_long,
        displaced,
        would_refuse = would_be_full + would_be_queue_full,
        would_wait,
        "calls refused"
    );
}

fn tell_of_throttle((name, [refused, would_refuse]): &(Arc<str>, [u64; 2])) {
    tracing::warn!(
        target: "tower_breaker",
        guard = "throttle",
        name = &**name,
        refused,
        would_refuse,
        "calls refused"
    );
}
