//! Those who are told when the bulkhead is full and when it is free again.

use std::task::Waker;

use super::{Gate, wake};
use crate::bulkhead::{
    events::EventKind,
    place::Place,
    watchers::{AT_ONCE, Post},
    word::Word,
};

impl Gate {
    /// Asks to be woken when a permit may be free. The caller looks again whether there is one after this.
    pub(in crate::bulkhead) fn watch(&self, post: &mut Option<Post>, waker: &Waker) {
        // Made and dropped outside the lock, as it may run code that comes back here.
        let waker = waker.clone();
        let mut line = self.line();
        let spare = line.watchers.watch(post, waker);
        let _ = Word::update(&self.word, |word| {
            (!word.is_watched()).then(|| word.watched(true))
        });
        self.publish(&line);
        drop(line);
        drop(spare);
    }

    /// Asks for nothing any more.
    pub(in crate::bulkhead) fn unwatch(&self, post: Post) {
        let mut line = self.line();
        let spare = line.watchers.leave(post);
        drop(line);
        drop(spare);
    }

    // Everybody is woken, since nobody has to take what he was woken for. Whoever finds none watches again.
    #[cold]
    pub(super) fn wake_watchers(&self) {
        if self.is_full(Place::UNDECIDED) {
            return;
        }
        let mut from = Some(0);
        while let Some(start) = from {
            let mut wakers = [const { None }; AT_ONCE];
            let mut line = self.line();
            from = line.watchers.take(start, &mut wakers);
            if line.watchers.is_empty() {
                let _ = Word::update(&self.word, |word| Some(word.watched(false)));
                self.publish(&line);
            }
            drop(line);
            wakers.into_iter().flatten().for_each(wake);
        }
    }

    /// Writes down that the bulkhead is full, if it is, that is not written down yet, and anybody wants to know.
    #[inline]
    pub(super) fn notice_saturation(&self) {
        if self.journal.is_observed() && !self.load().is_saturated() {
            self.saturate();
        }
    }

    #[cold]
    fn saturate(&self) {
        let line = self.line();
        if self.load().is_saturated() || self.in_flight() < self.total() {
            return;
        }
        let _ = Word::update(&self.word, |word| Some(word.saturated(true)));
        self.publish(&line);
        self.journal.enter(EventKind::Saturated);
        drop(line);
        // The last permit may have come back before anybody could see that this is of interest.
        self.relieve();
        self.journal.deliver();
    }

    #[cold]
    pub(super) fn relieve(&self) {
        if !self.is_relieved() {
            return;
        }
        let line = self.line();
        if !self.is_relieved() {
            return;
        }
        let _ = Word::update(&self.word, |word| Some(word.saturated(false)));
        self.publish(&line);
        self.journal.enter(EventKind::Relieved);
        drop(line);
        self.journal.deliver();
    }

    // Well below the limit, so that a bulkhead that is about full does not make two events of every call.
    fn is_relieved(&self) -> bool {
        let word = self.load();
        let total = self.total();
        let margin = (total / 8).max(1);
        word.is_saturated() && word.queued() == 0 && self.in_flight() <= total - margin
    }
}
