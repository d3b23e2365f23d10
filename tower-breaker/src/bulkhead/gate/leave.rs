//! Giving a permit back.

use super::Gate;
use crate::bulkhead::{place::Place, word::Word};

/// How far a permit has been given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bulkhead) enum Left {
    /// It has been given back, and whoever had it may not touch the gate any more.
    Done,
    /// Nothing has been done yet, because there is more to do than that.
    NotYet,
    /// It is off its partition's word, and still on the pool's.
    OnlyThePartition,
}

impl Gate {
    /// Gives a permit back if that is all there is to do.
    #[inline]
    pub(in crate::bulkhead) fn try_leave(&self, place: Place) -> Left {
        match place.partition() {
            None => self.try_leave_pool(Left::NotYet),
            Some(_) => self.try_leave_partition(place),
        }
    }

    #[inline]
    fn try_leave_pool(&self, otherwise: Left) -> Left {
        let left = Word::update(&self.word, |word| {
            word.needs_no_attention().then(|| word.leave())
        });
        if left.is_ok() { Left::Done } else { otherwise }
    }

    fn try_leave_partition(&self, place: Place) -> Left {
        let Some(compartment) = self.compartment(place) else {
            return self.try_leave_pool(Left::NotYet);
        };
        // One that the pool carries is on the pool's word still, and so all the same alive.
        let left = compartment.update(|state| {
            (state.borrowed() > 0 || state.needs_no_attention()).then(|| state.leave())
        });
        match left {
            Err(_) => Left::NotYet,
            Ok(before) if before.borrowed() > 0 => self.try_leave_pool(Left::OnlyThePartition),
            Ok(_) => Left::Done,
        }
    }

    /// Gives a permit back, or what is left of it, whatever else there is to do: the caller must [`serve`](Self::serve) afterwards.
    pub(in crate::bulkhead) fn leave_anyway(&self, place: Place, so_far: Left) {
        if so_far == Left::NotYet
            && let Some(compartment) = self.compartment(place)
            && let Ok(before) = compartment.update(|state| Some(state.leave()))
            && before.borrowed() == 0
        {
            return;
        }
        self.leave();
    }

    // Gives one of the pool's permits back. The caller must serve afterwards.
    pub(super) fn leave(&self) {
        let _ = Word::update(&self.word, |word| Some(word.leave()));
    }

    /// Gives a permit back, and passes it on if somebody waits. Only for who has a share in the gate besides the permit.
    pub(in crate::bulkhead) fn release(&self, place: Place) {
        match self.try_leave(place) {
            Left::Done => {}
            so_far => {
                self.leave_anyway(place, so_far);
                self.serve();
            }
        }
    }
}
