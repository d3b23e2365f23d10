//! The waiting line: a doubly linked list inside one preallocated slab. Plain data; `gate` puts it behind its lock.

use std::task::Waker;

/// Where a waiter sits. Valid from [`Queue::push`] until its owner gives it up with [`Queue::take`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat(u32);

// Marks the end of a list; no seat has it, because a queue holds far fewer.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Entry {
    previous: u32,
    next: u32,
    holder: Holder,
}

#[derive(Debug)]
enum Holder {
    Nobody,
    // Without a waker until the waiter is polled for the first time.
    Waiting(Option<Waker>),
    // Has been given a permit it has not picked up yet; out of the line already.
    Granted,
}

/// What a seat held when its owner gave it up. A waker is handed out instead of dropped, since dropping one may run any
/// code and the lock must be released first.
#[derive(Debug)]
pub(super) enum Left {
    Waiting(Option<Waker>),
    Granted,
}

#[derive(Debug)]
pub(super) struct Queue {
    entries: Vec<Entry>,
    first: u32,
    last: u32,
    // Free seats, linked through `next`.
    free: u32,
}

impl Queue {
    pub(super) fn with_seats(seats: usize) -> Self {
        Self {
            entries: Vec::with_capacity(seats),
            first: NONE,
            last: NONE,
            free: NONE,
        }
    }

    /// Lays out places for so many, if there are fewer.
    pub(super) fn prepare(&mut self, seats: usize) {
        self.entries
            .reserve(seats.saturating_sub(self.entries.len()));
    }

    fn entry(&mut self, index: u32) -> &mut Entry {
        &mut self.entries[index as usize]
    }

    /// Joins the end of the line. Allocates only beyond the seats prepared at the start.
    pub(super) fn push(&mut self) -> Seat {
        let entry = Entry {
            previous: self.last,
            next: NONE,
            holder: Holder::Waiting(None),
        };
        let index = match self.free {
            NONE => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
            free => {
                self.free = std::mem::replace(self.entry(free), entry).next;
                free
            }
        };
        match std::mem::replace(&mut self.last, index) {
            NONE => self.first = index,
            last => self.entry(last).next = index,
        }
        Seat(index)
    }

    /// Grants a permit to whoever waits longest, and says whom to wake.
    pub(super) fn grant_first(&mut self) -> Option<Waker> {
        let index = self.first;
        debug_assert_ne!(
            index, NONE,
            "a permit is granted only while the word counts a waiter"
        );
        if index == NONE {
            return None;
        }
        self.unlink(index);
        match std::mem::replace(&mut self.entry(index).holder, Holder::Granted) {
            Holder::Waiting(waker) => waker,
            Holder::Nobody | Holder::Granted => None,
        }
    }

    pub(super) fn is_granted(&self, seat: Seat) -> bool {
        matches!(self.entries[seat.0 as usize].holder, Holder::Granted)
    }

    /// Says whom to wake, and hands back the waker that is no longer needed.
    pub(super) fn set_waker(&mut self, seat: Seat, waker: Waker) -> Option<Waker> {
        match &mut self.entry(seat.0).holder {
            Holder::Waiting(slot) => slot.replace(waker),
            Holder::Nobody | Holder::Granted => Some(waker),
        }
    }

    /// Gives a seat up, leaving the line if still in it.
    pub(super) fn take(&mut self, seat: Seat) -> Left {
        let Seat(index) = seat;
        let left = match std::mem::replace(&mut self.entry(index).holder, Holder::Nobody) {
            Holder::Waiting(waker) => {
                self.unlink(index);
                Left::Waiting(waker)
            }
            Holder::Nobody | Holder::Granted => Left::Granted,
        };
        let free = self.free;
        self.entry(index).next = free;
        self.free = index;
        left
    }

    fn unlink(&mut self, index: u32) {
        let Entry { previous, next, .. } = *self.entry(index);
        match previous {
            NONE => self.first = next,
            previous => self.entry(previous).next = next,
        }
        match next {
            NONE => self.last = previous,
            next => self.entry(next).previous = previous,
        }
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    #[test]
    fn seats_are_used_again() {
        let mut queue = Queue::with_seats(4);
        for _ in 0..1_000 {
            let seats = [queue.push(), queue.push(), queue.push(), queue.push()];
            assert!(
                queue.grant_first().is_none(),
                "nobody has said whom to wake"
            );
            for at in [2, 0, 3, 1] {
                queue.take(seats[at]);
            }
        }
        assert_eq!((queue.entries.len(), queue.entries.capacity()), (4, 4));
    }
}
