//! What happened to a bulkhead: each event once, in order, to the listeners and into the books.
//!
//! Events are entered under the gate's lock, which gives them their order, and delivered after it has been released, by one thread
//! at a time: so a listener may use the handle freely, and what that brings about is delivered after it. A call that is simply
//! admitted, or refused like the one before it, does not come here.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::events::{Event, EventKind};

/// How many events are remembered.
const REMEMBERED: usize = 64;

pub(super) type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

pub(super) struct Journal {
    name: Arc<str>,
    listeners: Vec<Listener>,
    // Whether there is anybody to tell. Once there was, it stays so.
    is_observed: AtomicBool,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    recent: VecDeque<Event>,
    // With those who had subscribed by then.
    undelivered: VecDeque<(Event, Arc<Vec<UnboundedSender<Event>>>)>,
    delivering: bool,
    subscribers: Arc<Vec<UnboundedSender<Event>>>,
}

impl Journal {
    pub(super) fn new(name: Arc<str>, listeners: Vec<Listener>) -> Self {
        Self {
            name,
            is_observed: AtomicBool::new(!listeners.is_empty()),
            listeners,
            books: Mutex::default(),
        }
    }

    // Nothing panics while the lock is held; if it did, the books would still be better than none.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is worth noticing that the bulkhead is full.
    #[inline]
    pub(super) fn is_observed(&self) -> bool {
        self.is_observed.load(Ordering::Relaxed)
    }

    pub(super) fn subscribe(&self) -> UnboundedReceiver<Event> {
        let (sender, receiver) = unbounded_channel();
        let mut books = self.books();
        let others = books.subscribers.iter();
        let still_there = others.filter(|other| !other.is_closed()).cloned();
        books.subscribers = Arc::new(still_there.chain([sender]).collect());
        self.is_observed.store(true, Ordering::Relaxed);
        receiver
    }

    pub(super) fn recent(&self) -> Vec<Event> {
        self.books().recent.iter().cloned().collect()
    }

    /// Writes an event down. Whoever does must [`deliver`](Self::deliver) when the gate's lock has been released.
    pub(super) fn enter(&self, kind: EventKind) {
        let event = Event {
            name: Arc::clone(&self.name),
            at: tokio::time::Instant::now().into_std(),
            kind,
        };
        let mut books = self.books();
        if books.recent.len() == REMEMBERED {
            books.recent.pop_front();
        }
        books.recent.push_back(event.clone());
        if !self.listeners.is_empty() || !books.subscribers.is_empty() {
            let subscribers = Arc::clone(&books.subscribers);
            books.undelivered.push_back((event, subscribers));
        }
    }

    pub(super) fn deliver(&self) {
        let mut books = self.books();
        if std::mem::replace(&mut books.delivering, true) {
            // Whoever is at it does these too.
            return;
        }
        while let Some((event, subscribers)) = books.undelivered.pop_front() {
            drop(books);
            for listener in &self.listeners {
                shielded(|| listener(&event));
            }
            for subscriber in &*subscribers {
                // Gone, or not: it is only told. That wakes the reader, which is the user's code, too.
                shielded(|| drop(subscriber.send(event.clone())));
            }
            books = self.books();
        }
        books.delivering = false;
    }
}

// A panic of the user's code is its own: it must not keep the event from the others, nor later events from everybody. The hook has
// reported it, and dropping what it carries could panic in its turn.
fn shielded(tell: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(tell)) {
        std::mem::forget(payload);
    }
}
