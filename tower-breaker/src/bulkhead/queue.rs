//! The waiting lines: doubly linked lists inside one slab that is laid out beforehand. Plain data; `gate` puts it behind its lock.
//!
//! There is a list for each priority of each partition, and of those that are in none. A seat's number of arrival says who came
//! first among the heads of several lists.

use std::task::Waker;

use super::place::{Place, Priority};

/// Where a waiter sits. Valid from [`Queue::push`] until its owner gives it up with [`Queue::take`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat(u32);

// Marks the end of a list; no seat has it, because a queue holds far fewer.
const NONE: u32 = u32::MAX;
const PRIORITIES: usize = Priority::ALL.len();

#[derive(Debug)]
struct Entry {
    previous: u32,
    next: u32,
    list: u32,
    arrival: u64,
    holder: Holder,
}

#[derive(Debug)]
enum Holder {
    Nobody,
    // Without a waker until the waiter is polled for the first time.
    Waiting(Option<Waker>),
    // Has been given a permit it has not picked up yet; out of the line already.
    Granted,
    // Had to make room; out of the line already.
    Displaced,
}

/// What a seat held when its owner gave it up. A waker is handed out instead of dropped, since dropping one may run any
/// code and the lock must be released first.
#[derive(Debug)]
pub(super) enum Left {
    Waiting(Option<Waker>),
    Granted,
    Displaced,
}

#[derive(Debug, Clone, Copy)]
struct List {
    first: u32,
    last: u32,
    length: usize,
}

/// One of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line(usize);

impl Line {
    pub(super) fn of(place: Place) -> Self {
        let row = place.partition().map_or(0, |index| index + 1);
        Self(row * PRIORITIES + place.priority() as usize)
    }

    /// The place of everybody in it.
    pub(super) fn place(self) -> Place {
        let place = Place::default().with_priority(Priority::ALL[self.0 % PRIORITIES]);
        match self.0 / PRIORITIES {
            0 => place,
            row => place.with_partition(row - 1),
        }
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    entries: Vec<Entry>,
    lists: Box<[List]>,
    length: usize,
    arrivals: u64,
    // Free seats, linked through `next`.
    free: u32,
}

impl Queue {
    pub(super) fn new(partitions: usize, seats: usize) -> Self {
        let empty = List {
            first: NONE,
            last: NONE,
            length: 0,
        };
        Self {
            entries: Vec::with_capacity(seats),
            lists: vec![empty; (partitions + 1) * PRIORITIES].into(),
            length: 0,
            arrivals: 0,
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

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Whether nobody waits in this line.
    pub(super) fn is_empty(&self, line: Line) -> bool {
        self.lists[line.0].length == 0
    }

    /// How many wait in this partition, or in none.
    pub(super) fn len_in(&self, partition: Option<usize>) -> usize {
        let row = partition.map_or(0, |index| index + 1) * PRIORITIES;
        let lists = &self.lists[row..row + PRIORITIES];
        lists.iter().map(|list| list.length).sum()
    }

    /// How many wait with this priority.
    pub(super) fn len_of(&self, priority: Priority) -> usize {
        let lists = self.lists.iter().skip(priority as usize);
        lists.step_by(PRIORITIES).map(|list| list.length).sum()
    }

    /// The lists of this priority in which somebody waits.
    fn lines(&self, priority: Priority) -> impl Iterator<Item = (Line, List)> + '_ {
        let lists = self.lists.iter().copied().enumerate();
        lists
            .skip(priority as usize)
            .step_by(PRIORITIES)
            .filter(|(_, list)| list.length > 0)
            .map(|(index, list)| (Line(index), list))
    }

    fn arrival(&self, index: u32) -> u64 {
        self.entries[index as usize].arrival
    }

    /// Of the lists of this priority, that whose first came first, among those whose first came after `after`; and when that was.
    pub(super) fn oldest(&self, priority: Priority, after: Option<u64>) -> Option<(Line, u64)> {
        self.lines(priority)
            .map(|(line, list)| (line, self.arrival(list.first)))
            .filter(|(_, arrival)| after.is_none_or(|after| *arrival > after))
            .min_by_key(|(_, arrival)| *arrival)
    }

    /// Of the lists of this priority that `may` go, that whose last came last.
    pub(super) fn newest(&self, priority: Priority, may: impl Fn(Place) -> bool) -> Option<Line> {
        self.lines(priority)
            .filter(|(line, _)| may(line.place()))
            .max_by_key(|(_, list)| self.arrival(list.last))
            .map(|(line, _)| line)
    }

    /// Joins the end of a line. Allocates only beyond the seats that have been laid out.
    pub(super) fn push(&mut self, line: Line) -> Seat {
        let last = self.lists[line.0].last;
        self.arrivals += 1;
        let entry = Entry {
            previous: last,
            next: NONE,
            list: line.0 as u32,
            arrival: self.arrivals,
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
        match last {
            NONE => self.lists[line.0].first = index,
            last => self.entry(last).next = index,
        }
        let list = &mut self.lists[line.0];
        list.last = index;
        list.length += 1;
        self.length += 1;
        Seat(index)
    }

    /// Grants a permit to whoever waits longest in this line, and says whom to wake.
    pub(super) fn grant_first(&mut self, line: Line) -> Option<Waker> {
        self.answer(self.lists[line.0].first, Holder::Granted)
    }

    /// Sends whoever came last in this line away, and says whom to wake.
    pub(super) fn displace_last(&mut self, line: Line) -> Option<Waker> {
        self.answer(self.lists[line.0].last, Holder::Displaced)
    }

    fn answer(&mut self, index: u32, answer: Holder) -> Option<Waker> {
        debug_assert_ne!(index, NONE, "only lines are asked in which somebody waits");
        if index == NONE {
            return None;
        }
        self.unlink(index);
        match std::mem::replace(&mut self.entry(index).holder, answer) {
            Holder::Waiting(waker) => waker,
            Holder::Nobody | Holder::Granted | Holder::Displaced => None,
        }
    }

    pub(super) fn is_waiting(&self, seat: Seat) -> bool {
        matches!(self.entries[seat.0 as usize].holder, Holder::Waiting(_))
    }

    pub(super) fn is_granted(&self, seat: Seat) -> bool {
        matches!(self.entries[seat.0 as usize].holder, Holder::Granted)
    }

    /// Says whom to wake, and hands back the waker that is no longer needed.
    pub(super) fn set_waker(&mut self, seat: Seat, waker: Waker) -> Option<Waker> {
        match &mut self.entry(seat.0).holder {
            Holder::Waiting(slot) => slot.replace(waker),
            Holder::Nobody | Holder::Granted | Holder::Displaced => Some(waker),
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
            Holder::Displaced => Left::Displaced,
            Holder::Nobody | Holder::Granted => Left::Granted,
        };
        let free = self.free;
        self.entry(index).next = free;
        self.free = index;
        left
    }

    fn unlink(&mut self, index: u32) {
        let Entry {
            previous,
            next,
            list,
            ..
        } = *self.entry(index);
        match previous {
            NONE => self.lists[list as usize].first = next,
            previous => self.entry(previous).next = next,
        }
        match next {
            NONE => self.lists[list as usize].last = previous,
            next => self.entry(next).previous = previous,
        }
        self.lists[list as usize].length -= 1;
        self.length -= 1;
    }
}

#[cfg(all(test, not(breaker_loom)))]
mod tests {
    use super::*;

    const PLAIN: Line = Line(Priority::Normal as usize);

    #[test]
    fn seats_are_used_again() {
        let mut queue = Queue::new(0, 4);
        for _ in 0..1_000 {
            let seats = [(); 4].map(|()| queue.push(PLAIN));
            assert!(
                queue.grant_first(PLAIN).is_none(),
                "nobody has said whom to wake"
            );
            for at in [2, 0, 3, 1] {
                queue.take(seats[at]);
            }
        }
        assert_eq!((queue.entries.len(), queue.entries.capacity()), (4, 4));
    }

    #[test]
    fn lines_are_told_apart_and_ordered_by_arrival() {
        let mut queue = Queue::new(2, 8);
        let line = |partition: Option<usize>, priority| {
            let place = Place::default().with_priority(priority);
            let place = partition.map_or(place, |index| place.with_partition(index));
            assert_eq!(Line::of(place).place(), place);
            Line::of(place)
        };
        let (second, none) = (line(Some(1), Priority::Low), line(None, Priority::Low));
        queue.push(second);
        let last = queue.push(none);
        queue.push(line(Some(0), Priority::High));
        assert_eq!((queue.len(), queue.len_of(Priority::Low)), (3, 2));
        assert_eq!((queue.len_in(Some(1)), queue.len_in(None)), (1, 1));
        assert_eq!(queue.oldest(Priority::Low, None), Some((second, 1)));
        assert_eq!(queue.oldest(Priority::Low, Some(1)), Some((none, 2)));
        assert_eq!(queue.oldest(Priority::Low, Some(2)), None);
        assert_eq!(queue.oldest(Priority::Normal, None), None);
        assert_eq!(queue.newest(Priority::Low, |_| true), Some(none));
        let in_one = |place: Place| place.partition().is_some();
        assert_eq!(queue.newest(Priority::Low, in_one), Some(second));
        queue.displace_last(none);
        assert!(!queue.is_waiting(last) && matches!(queue.take(last), Left::Displaced));
        assert_eq!(queue.len(), 2);
    }
}
