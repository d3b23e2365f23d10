//! What happened: every transition exactly once, in order, to the listeners and into the books.
//!
//! Only transitions come here, so a lock is affordable; calls never take it. Transitions made at the same time by several
//! threads may arrive out of order: an early one waits for those before it. One thread at a time delivers, with the lock
//! released, so that a listener may use the circuit's handle freely; transitions made meanwhile, by the listener or by other
//! threads, are delivered by that same thread afterwards.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    counters::Totals,
    snapshot::{TimeInState, TransitionCounts},
    transition::{Episode, Transition},
    word::GENERATION_MASK,
};
use crate::breaker::State;

/// How many transitions are remembered.
const REMEMBERED: usize = 64;

pub(super) type Listener = Box<dyn Fn(&Transition) + Send + Sync>;

pub(super) struct Journal {
    listeners: Vec<Listener>,
    books: Mutex<Books>,
}

struct Books {
    total: u64,
    // Made with the first transition: most circuits make none.
    history: Option<Box<History>>,
    // Arrived before a transition that comes before them.
    early: Vec<Transition>,
    // With those who had subscribed by then.
    undelivered: VecDeque<(Transition, Arc<Vec<UnboundedSender<Transition>>>)>,
    delivering: bool,
    recent: VecDeque<Transition>,
    state: State,
    since: Instant,
    // Shared with whoever is delivering, who must not hold the lock.
    subscribers: Arc<Vec<UnboundedSender<Transition>>>,
    // Since when the backend of the open circuit is known to be well.
    healthy_since: Option<Instant>,
    open_while_healthy: Duration,
}

#[derive(Default)]
struct History {
    counts: TransitionCounts,
    // As they were when the episode began.
    totals: Totals,
    // Without the episode that has not ended.
    spent: TimeInState,
}

impl Journal {
    pub(super) fn new(listeners: Vec<Listener>, start: Instant) -> Self {
        let books = Books {
            total: 0,
            history: None,
            early: Vec::new(),
            undelivered: VecDeque::new(),
            delivering: false,
            recent: VecDeque::new(),
            state: State::Closed,
            since: start,
            subscribers: Arc::default(),
            healthy_since: None,
            open_while_healthy: Duration::ZERO,
        };
        Self {
            listeners,
            books: Mutex::new(books),
        }
    }

    pub(super) fn enter(&self, transition: Transition, totals: impl Fn() -> Totals) {
        let mut books = self.books();
        books.early.push(transition);
        while let Some(next) = books.take_next() {
            let deliver = !self.listeners.is_empty() || !books.subscribers.is_empty();
            books.enter(next, totals(), deliver);
        }
        if books.delivering {
            return;
        }
        books.delivering = true;
        while let Some((transition, subscribers)) = books.undelivered.pop_front() {
            drop(books);
            for listener in &self.listeners {
                shielded(|| listener(&transition));
            }
            let mut is_anyone_gone = false;
            for subscriber in &*subscribers {
                // Runs a waker.
                shielded(|| is_anyone_gone |= subscriber.send(transition.clone()).is_err());
            }
            drop(subscribers);
            books = self.books();
            if is_anyone_gone {
                Arc::make_mut(&mut books.subscribers).retain(|subscriber| !subscriber.is_closed());
            }
        }
        books.delivering = false;
    }

    /// All transitions from now on.
    pub(super) fn subscribe(&self) -> UnboundedReceiver<Transition> {
        let (sender, receiver) = unbounded_channel();
        let mut books = self.books();
        let subscribers = Arc::make_mut(&mut books.subscribers);
        subscribers.retain(|subscriber| !subscriber.is_closed());
        subscribers.push(sender);
        receiver
    }

    /// What a check found out about the backend just now.
    pub(super) fn report_health(&self, now: Instant, is_healthy: bool) {
        let mut books = self.books();
        books.add_healthy(now);
        books.healthy_since = is_healthy.then_some(now);
    }

    /// For how long the circuit was open although the backend was known to be well.
    pub(super) fn open_while_healthy(&self, now: Instant) -> Duration {
        let books = self.books();
        books.open_while_healthy + books.healthy_for(now)
    }

    pub(super) fn total(&self) -> u64 {
        self.books().total
    }

    pub(super) fn counts(&self) -> TransitionCounts {
        let books = self.books();
        books
            .history
            .as_ref()
            .map_or_else(TransitionCounts::default, |history| history.counts)
    }

    pub(super) fn recent(&self) -> Vec<Transition> {
        self.books().recent.iter().cloned().collect()
    }

    /// Time spent in each state, the current one included.
    pub(super) fn time_in_state(&self, now: Instant) -> TimeInState {
        let books = self.books();
        let history = books.history.as_ref();
        let mut spent = history.map_or_else(TimeInState::default, |history| history.spent);
        *spent.of(books.state) += now.saturating_duration_since(books.since);
        spent
    }

    // Nothing panics while the lock is held; if it did, the books would still be better than none.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// A panic of the user's code is its own: it must not decide what becomes of the call that made the transition, nor keep the
// event from the others. The panic hook has reported it.
pub(super) fn shielded(run: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
        // Dropping it could panic in its turn.
        mem::forget(payload);
    }
}

impl Books {
    fn take_next(&mut self) -> Option<Transition> {
        let next = (self.total + 1) & u64::from(GENERATION_MASK);
        let index = self
            .early
            .iter()
            .position(|transition| transition.generation == next)?;
        Some(self.early.swap_remove(index))
    }

    fn enter(&mut self, mut transition: Transition, totals: Totals, deliver: bool) {
        self.total += 1;
        // Each maker read the clock for itself, so two close together may have the wrong order.
        transition.at = transition.at.max(self.since);
        let spent = transition.at.saturating_duration_since(self.since);
        let history = self.history.get_or_insert_default();
        history.counts.add(&transition);
        *history.spent.of(self.state) += spent;
        transition.ended = totals.since(&history.totals, spent);
        history.totals = totals;
        self.add_healthy(transition.at);
        if transition.to == State::Open {
            // What was found out before it opened says nothing.
            self.healthy_since = None;
        }
        self.state = transition.to;
        self.since = transition.at;
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(transition.clone());
        if deliver {
            let subscribers = self.subscribers.clone();
            self.undelivered.push_back((transition, subscribers));
        }
    }

    fn add_healthy(&mut self, now: Instant) {
        self.open_while_healthy += self.healthy_for(now);
        self.healthy_since = self.healthy_since.map(|since| since.max(now));
    }

    fn healthy_for(&self, now: Instant) -> Duration {
        match self.healthy_since {
            Some(since) if self.state != State::Closed => {
                now.saturating_duration_since(since.max(self.since))
            }
            _ => Duration::ZERO,
        }
    }
}

impl Totals {
    fn since(&self, before: &Self, lasted: Duration) -> Episode {
        Episode {
            lasted,
            admitted: self.admitted.saturating_sub(before.admitted),
            failed: self.failed.saturating_sub(before.failed),
            slow: self.slow.saturating_sub(before.slow),
            refused: self.refused.saturating_sub(before.refused),
            would_refuse: self.would_refuse.saturating_sub(before.would_refuse),
        }
    }
}

impl TimeInState {
    fn of(&mut self, state: State) -> &mut Duration {
        match state {
            State::Closed => &mut self.closed,
            State::Open => &mut self.open,
            State::HalfOpen => &mut self.half_open,
        }
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::breaker::Cause;

    #[test]
    fn transitions_that_arrive_out_of_order_are_entered_in_order_with_times_that_never_go_back() {
        let start = Instant::now();
        let told = Arc::new(Mutex::new(Vec::new()));
        let listener = {
            let told = told.clone();
            move |transition: &Transition| {
                let at = transition.at.duration_since(start).as_millis();
                told.lock().unwrap().push((transition.generation, at));
            }
        };
        let journal = Journal::new(vec![Box::new(listener)], start);
        let enter = |generation, to, at| {
            let transition = Transition {
                name: "test".into(),
                from: State::Closed,
                to,
                generation,
                at: start + Duration::from_millis(at),
                cause: Cause::Reset,
                ended: Episode::default(),
            };
            journal.enter(transition, Totals::default);
        };
        enter(2, State::HalfOpen, 10);
        enter(3, State::Closed, 40);
        assert!(
            told.lock().unwrap().is_empty(),
            "the first is still to come"
        );
        assert_eq!(journal.total(), 0);
        enter(1, State::Open, 20);
        assert_eq!(*told.lock().unwrap(), [(1, 20), (2, 20), (3, 40)]);
        assert_eq!(journal.total(), 3);

        let spent = journal.time_in_state(start + Duration::from_millis(100));
        assert_eq!(spent.closed, Duration::from_millis(20 + 60));
        assert_eq!(spent.open, Duration::ZERO);
        assert_eq!(spent.half_open, Duration::from_millis(20));
    }

    #[test]
    fn subscribers_stay_until_they_go_and_no_longer() {
        let start = Instant::now();
        let journal = Journal::new(Vec::new(), start);
        let enter = |generation| {
            let transition = Transition {
                name: "test".into(),
                from: State::Closed,
                to: State::Open,
                generation,
                at: start,
                cause: Cause::Reset,
                ended: Episode::default(),
            };
            journal.enter(transition, Totals::default);
        };
        let subscribed = || journal.books().subscribers.len();
        let mut first = journal.subscribe();
        let mut second = journal.subscribe();
        enter(1);
        for receiver in [&mut first, &mut second] {
            assert_eq!(receiver.try_recv().unwrap().generation, 1);
        }
        // Noticed by the next transition.
        drop(first);
        assert_eq!(subscribed(), 2);
        enter(2);
        assert_eq!(subscribed(), 1);
        assert_eq!(second.try_recv().unwrap().generation, 2);
        // Or by the next who subscribes.
        drop(second);
        let mut third = journal.subscribe();
        assert_eq!(subscribed(), 1);
        enter(3);
        assert_eq!(third.try_recv().unwrap().generation, 3);
    }
}
