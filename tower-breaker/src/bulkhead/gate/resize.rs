//! Changing the limit while calls run and wait.

use super::Gate;
use crate::{
    bulkhead::{events::EventKind, partition::Division, word::Word},
    sync::Ordering,
};

impl Gate {
    /// Changes how many calls may run at once. If that makes room, those who wait are served; if it takes room away, nobody who
    /// runs is disturbed.
    pub(in crate::bulkhead) fn set_limit(&self, limit: usize) {
        self.change_limit(limit, true);
    }

    /// The same for a limit that finds itself. It moves several times a second, which would drown the other events.
    pub(in crate::bulkhead) fn adapt_limit(&self, limit: usize) {
        self.change_limit(limit, false);
    }

    fn change_limit(&self, limit: usize, is_event: bool) {
        let mut line = self.line();
        line.queue.prepare(self.seats_for(limit));
        let from = self.total();
        self.total.store(limit as u32, Ordering::Release);

        let permits = Division::of(limit);
        let partitions = self.compartments.iter();
        let common = permits.common(partitions.map(|compartment| &compartment.partition));
        // Less than there was and less than there will be: what moves between pool and partitions is not in both at once.
        let _ = Word::update(&self.word, |word| {
            Some(word.with_limit(word.limit().min(common)))
        });
        for compartment in &self.compartments {
            let part = permits.part(&compartment.partition);
            // What is no longer guaranteed may be running. The pool carries all of it before anybody may give it back to the pool.
            let lost = compartment
                .load()
                .guaranteed()
                .saturating_sub(part.guaranteed) as isize;
            self.shift_pool(lost);
            let before = compartment.set(part);
            let borrowed = before.in_flight().saturating_sub(part.guaranteed);
            self.shift_pool(borrowed as isize - before.borrowed() as isize - lost);
        }
        let _ = Word::update(&self.word, |word| Some(word.with_limit(common)));
        self.publish(&line);
        let is_event = is_event && from != limit;
        if is_event {
            self.journal.enter(EventKind::Resized { from, to: limit });
        }
        drop(line);
        self.serve();
        if is_event {
            self.journal.deliver();
        }
    }

    fn shift_pool(&self, calls: isize) {
        if calls != 0 {
            let _ = Word::update(&self.word, |word| Some(word.shift(calls)));
        }
    }
}
