//! Taking a permit, without waiting for one.

use super::{Gate, WOULD_FULL, WOULD_QUEUE_FULL, WOULD_WAIT};
use crate::bulkhead::{
    compartment::{Compartment, State},
    partition::PriorityShares,
    place::{Place, Priority},
    word::Word,
};

/// What became of an attempt to take a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    Taken,
    Full,
    /// There is one, but somebody may have precedence: only under the lock can it be told who gets it.
    Behind,
}

/// Who takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// Who has just come, and overtakes nobody.
    Newcomer,
    /// Whose turn it is. Holds the lock.
    Next,
}

impl Gate {
    /// Whether a newcomer would have to wait or be refused; for one whose place is not known yet, wherever he belongs.
    #[inline]
    pub(in crate::bulkhead) fn is_full(&self, place: Place) -> bool {
        let word = self.load();
        if place.is_plain() && self.compartments.is_empty() && !self.is_dry_run() {
            // Where nobody has precedence, a permit that is free while somebody waits is as good as his. With shares he may wait for
            // one of his own share, and leave the others to whoever comes.
            let has_shares = self.shares != PriorityShares::NONE;
            if word.has_room() || !has_shares || !word.has_permit() {
                return !word.has_room();
            }
        }
        self.is_full_for(place, word)
    }

    #[inline(never)]
    fn is_full_for(&self, place: Place, word: Word) -> bool {
        if self.is_dry_run() {
            return false;
        }
        if place.is_undecided() {
            let has_guaranteed = |compartment: &Compartment| compartment.load().has_guaranteed();
            let has_any =
                || self.compartments.iter().any(has_guaranteed) && self.keeps_guarantees(word);
            return !word.has_permit() && !has_any();
        }
        let priority = place.priority();
        let pool_is_full = word.in_flight() >= self.shares.of(priority, word.limit());
        match self.compartment(place) {
            None => pool_is_full,
            Some(compartment) => {
                let state = compartment.load();
                state.in_flight() >= self.shares.of(priority, state.at_most())
                    || (pool_is_full && !(state.has_guaranteed() && self.keeps_guarantees(word)))
            }
        }
    }

    // Not while the limit has been lowered and others have not given back yet what they have borrowed. Until all together are within
    // the limit again, nobody is let in, whatever he is guaranteed.
    fn keeps_guarantees(&self, word: Word) -> bool {
        !word.is_overdrawn() || self.in_flight() < self.total()
    }

    /// Takes a permit if one is free; `waits` says whether the caller would wait for one, which only matters to the books of a dry
    /// run. The caller owes one end of a permit for every `true`.
    #[inline(always)]
    pub(in crate::bulkhead) fn try_enter(&self, place: Place, waits: bool) -> bool {
        self.try_enter_quietly(place) || self.try_enter_slowly(place, waits)
    }

    /// The same if that is all there is to do: runs no code of the user's, neither wakers nor listeners.
    #[inline(always)]
    pub(in crate::bulkhead) fn try_enter_quietly(&self, place: Place) -> bool {
        let entered = place.is_plain()
            && Word::update(&self.word, |word| word.has_room().then(|| word.enter())).is_ok();
        if entered {
            self.count_admitted(Place::default());
        }
        entered
    }

    /// Whether a newcomer is refused, and nobody has to be told or woken for it.
    pub(in crate::bulkhead) fn refuses_quietly(&self, place: Place) -> bool {
        let is_simple = place.is_plain()
            && self.compartments.is_empty()
            && !self.is_dry_run()
            && !self.journal.is_observed();
        is_simple && !self.load().has_permit()
    }

    #[inline(never)]
    fn try_enter_slowly(&self, place: Place, waits: bool) -> bool {
        let admitted = match self.take(place, As::Newcomer) {
            Take::Taken => {
                self.count_admitted(place);
                true
            }
            Take::Full => false,
            Take::Behind => self.ask(place),
        };
        admitted || self.enter_dry(place, waits)
    }

    /// In a dry run, takes a permit that there is not, and writes down what would have become of the call.
    pub(super) fn enter_dry(&self, place: Place, waits: bool) -> bool {
        if !self.is_dry_run() {
            return false;
        }
        let excess = self.in_flight().saturating_sub(self.total());
        self.counts.add(if !waits || self.max_queue == 0 {
            WOULD_FULL
        } else if excess >= self.max_queue {
            WOULD_QUEUE_FULL
        } else {
            WOULD_WAIT
        });
        self.notice_saturation();
        self.take_regardless(place);
        self.count_admitted(place);
        // The dry run may have ended just now, and somebody may wait for what was taken of the pool for a moment.
        self.serve();
        true
    }

    pub(super) fn take_regardless(&self, place: Place) {
        // The pool first, and given back if it was not needed: so the permit is counted somewhere all the time.
        let _ = Word::update(&self.word, |word| Some(word.enter()));
        let Some(compartment) = self.compartment(place) else {
            return;
        };
        let entered = compartment.update(|state| Some(state.enter()));
        if entered.is_ok_and(|before| before.has_guaranteed()) {
            self.leave();
        }
    }

    pub(super) fn take(&self, place: Place, who: As) -> Take {
        match self.compartment(place) {
            None => self.take_common(place.priority(), who),
            Some(compartment) => self.take_in(compartment, place.priority(), who),
        }
    }

    fn take_common(&self, priority: Priority, who: As) -> Take {
        let has_permit = |word: Word| word.in_flight() < self.shares.of(priority, word.limit());
        let taken = Word::update(&self.word, |word| {
            (has_permit(word) && (who == As::Next || word.queued() == 0)).then(|| word.enter())
        });
        match taken {
            Ok(_) => Take::Taken,
            Err(word) if has_permit(word) => Take::Behind,
            Err(_) => Take::Full,
        }
    }

    fn take_in(&self, compartment: &Compartment, priority: Priority, who: As) -> Take {
        let may_have_more =
            |state: State| state.in_flight() < self.shares.of(priority, state.at_most());
        let is_guaranteed = |state: State| state.has_guaranteed() && may_have_more(state);

        let word = self.load();
        if is_guaranteed(compartment.load()) && word.is_overdrawn() {
            // Exact only under the lock.
            if who == As::Newcomer {
                return Take::Behind;
            }
            if !self.keeps_guarantees(word) {
                return Take::Full;
            }
        }
        let state = match compartment.update(|state| {
            let is_his = who == As::Next || !state.is_waited_for();
            (is_guaranteed(state) && is_his).then(|| state.enter())
        }) {
            Ok(_) => return Take::Taken,
            Err(state) => state,
        };
        if is_guaranteed(state) {
            return Take::Behind;
        }
        if !may_have_more(state) {
            return Take::Full;
        }

        match self.take_common(priority, who) {
            Take::Taken => {}
            other => return other,
        }
        let entered = compartment.update(|state| may_have_more(state).then(|| state.enter()));
        // A guaranteed one may have come free meanwhile, or others may have taken all that the partition may have.
        if entered.is_err() || entered.is_ok_and(State::has_guaranteed) {
            self.leave();
            if who == As::Newcomer {
                self.serve();
            }
        }
        if entered.is_ok() {
            Take::Taken
        } else {
            Take::Full
        }
    }
}
