//! Waiting for a permit: the line, and serving it.

use std::{task::Waker, time::Duration};

use super::{
    Gate, Line,
    take::{As, Take},
    wake,
};
use crate::{
    bulkhead::{
        compartment::Compartment,
        place::{Place, Priority},
        queue::{self, Left, Seat},
        word::Word,
    },
    sync::{MutexGuard, Ordering},
};

/// What became of a call that is willing to wait.
pub(in crate::bulkhead) enum Entry {
    Admitted,
    Queued(Seat),
    Full,
}

/// What a waiter is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bulkhead) enum Answer {
    NotYet,
    Granted,
    Displaced,
}

// The queue has a place, or would have if somebody else made room.
enum Room {
    Free,
    Instead(queue::Line),
}

impl Gate {
    /// Takes a permit, or a seat in the queue. The caller owes one end of a permit for `Admitted`, and for `Queued` one
    /// [`pick_up`](Self::pick_up) that is answered, one [`give_up`](Self::give_up), or [`abandon`](Self::abandon).
    pub(in crate::bulkhead) fn enter_or_queue(&self, place: Place) -> Entry {
        let taken = self.take(place, As::Newcomer);
        if taken == Take::Taken {
            self.count_admitted(place);
            return Entry::Admitted;
        }
        if self.enter_dry(place, true) {
            return Entry::Admitted;
        }
        // So that refusing takes no lock, whether there is no queue or it is full.
        if taken == Take::Full && self.has_no_place(place) {
            return Entry::Full;
        }
        let mut line = self.line();
        let mut room = self.room(&line, place);
        if taken == Take::Behind && !matches!(room, Some(Room::Free)) {
            // Perhaps he need not wait. Then nobody has to make room for him.
            drop(line);
            if self.ask(place) {
                return Entry::Admitted;
            }
            line = self.line();
            room = self.room(&line, place);
        }
        let displaced = match room {
            Some(Room::Free) => None,
            Some(Room::Instead(other)) => {
                let waker = line.queue.displace_last(other);
                let _ = Word::update(&self.word, |word| Some(word.quit_queue()));
                waker
            }
            None => return Entry::Full,
        };
        let seat = self.sit_down(&mut line, place);
        drop(line);
        if let Some(waker) = displaced {
            wake(waker);
        }
        self.notice_saturation();
        if self.serve() {
            let mut line = self.line();
            if line.queue.is_granted(seat) {
                line.queue.take(seat);
                return Entry::Admitted;
            }
        }
        Entry::Queued(seat)
    }

    // In one look, so that it is true of one moment: that somebody leaves the queue just then, or joins it, is no reason to refuse.
    fn has_no_place(&self, place: Place) -> bool {
        let door = match self.compartment(place) {
            Some(compartment) => &compartment.door,
            None => &self.door,
        };
        (place.priority() as u32) < door.load(Ordering::Acquire)
    }

    // How many of the queue's places that are guaranteed to nobody are taken.
    fn common_places_taken(&self, line: &Line) -> usize {
        let borrowed = |(index, compartment): (usize, &Compartment)| {
            let queued = line.queue.len_in(Some(index));
            queued.saturating_sub(compartment.places.guaranteed)
        };
        let borrowed: usize = self.compartments.iter().enumerate().map(borrowed).sum();
        line.queue.len_in(None) + borrowed
    }

    fn has_place(&self, line: &Line, partition: Option<usize>, common_taken: usize) -> bool {
        let Some(index) = partition else {
            return common_taken < self.common_places;
        };
        let places = self.compartments[index].places;
        let queued = line.queue.len_in(Some(index));
        queued < places.guaranteed || (queued < places.at_most && common_taken < self.common_places)
    }

    fn room(&self, line: &Line, place: Place) -> Option<Room> {
        if self.max_queue == 0 {
            return None;
        }
        let partition = self.compartment(place).and(place.partition());
        if self.has_place(line, partition, self.common_places_taken(line)) {
            return Some(Room::Free);
        }
        let is_at_its_limit = partition.is_some_and(|index| {
            line.queue.len_in(Some(index)) >= self.compartments[index].places.at_most
        });
        // Whoever leaves a place that the newcomer may take: one of his own partition, or one who has a common place.
        let may_go = |other: Place| {
            let other = other.partition();
            let has_common_place = other.is_none_or(|index| {
                line.queue.len_in(Some(index)) > self.compartments[index].places.guaranteed
            });
            other == partition || (!is_at_its_limit && has_common_place)
        };
        Priority::ALL
            .into_iter()
            .take_while(|lower| *lower < place.priority())
            .find_map(|lower| line.queue.newest(lower, may_go))
            .map(Room::Instead)
    }

    // Joins the line. The caller must serve afterwards: a permit may have come back just before anybody could see that it is wanted.
    fn sit_down(&self, line: &mut Line, place: Place) -> Seat {
        let seat = line.queue.push(self.line_of(place));
        let _ = Word::update(&self.word, |word| Some(word.join_queue()));
        self.publish(line);
        seat
    }

    fn line_of(&self, place: Place) -> queue::Line {
        queue::Line::of(match self.compartment(place) {
            Some(_) => place,
            None => Place::default().with_priority(place.priority()),
        })
    }

    /// Takes a permit that is free although somebody waits, if nobody has precedence. He does not join the line for this: somebody who
    /// comes meanwhile would find a place less in the queue than there is.
    #[cold]
    pub(super) fn ask(&self, place: Place) -> bool {
        loop {
            let mut line = self.line();
            if let Some(waker) = self.grant_next(&mut line, place.priority()) {
                drop(line);
                if let Some(waker) = waker {
                    wake(waker);
                }
                continue;
            }
            // There was none for those with precedence. One that has come back since may be anybody's but of those in his own line.
            let is_first = line.queue.is_empty(self.line_of(place));
            let is_taken = is_first && self.take(place, As::Next) == Take::Taken;
            drop(line);
            if is_taken {
                self.count_admitted(place);
            }
            self.serve();
            return is_taken;
        }
    }

    fn quit(&self, line: MutexGuard<'_, Line>, waker: Option<Waker>) {
        let _ = Word::update(&self.word, |word| Some(word.quit_queue()));
        self.publish(&line);
        drop(line);
        drop(waker);
        if self.load().is_saturated() {
            self.relieve();
        }
    }

    /// Writes down, where those see it who do not take the lock, what depends on who waits and on the limit.
    pub(super) fn publish(&self, line: &Line) {
        let waiting = |priority: &Priority| line.queue.len_of(*priority) > 0;
        let lowest = Priority::ALL.into_iter().find(waiting);
        let above_the_lowest = lowest.map_or(u32::MAX, |priority| priority as u32 + 1);
        let common_taken = self.common_places_taken(line);
        let door = |partition| match self.has_place(line, partition, common_taken) {
            true => 0,
            false => above_the_lowest,
        };
        self.door.store(door(None), Ordering::Release);
        let word = self.load();
        let everybody_looks = word.is_watched()
            || word.is_saturated()
            || (word.is_overdrawn() && line.queue.len() > 0);
        for (index, compartment) in self.compartments.iter().enumerate() {
            compartment.door.store(door(Some(index)), Ordering::Release);
            compartment.set_flags(line.queue.len_in(Some(index)) > 0, everybody_looks);
        }
    }

    /// Grants what is free to those who wait, and wakes those who watch. Says whether anybody was granted anything.
    pub(in crate::bulkhead) fn serve(&self) -> bool {
        let mut has_granted = false;
        loop {
            // Without the lock it can only be found too early that there is nothing to do, and whoever changes that serves after us.
            let word = self.load();
            let may_have_a_permit =
                word.has_permit() || !self.compartments.is_empty() || self.is_dry_run();
            if word.queued() == 0 || !may_have_a_permit {
                break;
            }
            let mut line = self.line();
            let Some(waker) = self.grant_next(&mut line, Priority::Low) else {
                break;
            };
            drop(line);
            has_granted = true;
            if let Some(waker) = waker {
                wake(waker);
            }
        }
        let word = self.load();
        if word.is_watched() {
            self.wake_watchers();
        }
        if word.is_saturated() {
            self.relieve();
        }
        has_granted
    }

    // Grants a permit to the first in line for whom there is one, of those of this priority or a higher one, and says whom to wake.
    fn grant_next(&self, line: &mut Line, lowest: Priority) -> Option<Option<Waker>> {
        let priorities = Priority::ALL.into_iter().rev();
        for priority in priorities.take_while(|priority| *priority >= lowest) {
            let mut after = None;
            while let Some((list, arrival)) = line.queue.oldest(priority, after) {
                let place = list.place();
                let taken = self.take(place, As::Next) == Take::Taken;
                if !taken && self.is_dry_run() {
                    self.take_regardless(place);
                } else if !taken {
                    after = Some(arrival);
                    continue;
                }
                let waker = line.queue.grant_first(list);
                let _ = Word::update(&self.word, |word| Some(word.quit_queue()));
                self.count_admitted(place);
                self.publish(line);
                return Some(waker);
            }
        }
        None
    }

    /// Asks whether the permit waited for has come, and if not, whom to wake when it does. `waited` is for the books.
    /// Once this is answered, the seat is gone, and if it was granted the caller owes one end of a permit.
    pub(in crate::bulkhead) fn pick_up(
        &self,
        seat: Seat,
        waker: &Waker,
        waited: Duration,
    ) -> Answer {
        // Wakers are made and dropped outside the lock: either may run code that comes back here.
        let waker = waker.clone();
        let mut line = self.line();
        if line.queue.is_waiting(seat) {
            let spare = line.queue.set_waker(seat, waker);
            drop(line);
            drop(spare);
            return Answer::NotYet;
        }
        let left = line.queue.take(seat);
        line.answer(&left, waited)
    }

    /// Leaves the queue: [`Answer::NotYet`] if it was not answered before. When the permit has come in the meantime, the caller owes
    /// one end of it.
    pub(in crate::bulkhead) fn give_up(&self, seat: Seat, waited: Duration) -> Answer {
        let mut line = self.line();
        let left = line.queue.take(seat);
        let answer = line.answer(&left, waited);
        if let Left::Waiting(waker) = left {
            self.quit(line, waker);
        }
        answer
    }

    /// Leaves the queue for good. A permit that has come in the meantime is passed on.
    pub(in crate::bulkhead) fn abandon(&self, seat: Seat, place: Place) {
        let mut line = self.line();
        line.waits.abandoned += 1;
        match line.queue.take(seat) {
            Left::Waiting(waker) => self.quit(line, waker),
            Left::Displaced => {}
            Left::Granted => {
                drop(line);
                self.release(place);
            }
        }
    }
}

impl Line {
    fn answer(&mut self, left: &Left, waited: Duration) -> Answer {
        match left {
            Left::Waiting(_) => Answer::NotYet,
            Left::Displaced => Answer::Displaced,
            Left::Granted => {
                self.waits.record(waited);
                Answer::Granted
            }
        }
    }
}
