//! Giving a permit back.

use super::Gate;
use crate::{
    bulkhead::{
        compartment::{self, State},
        place::Place,
        word::Word,
    },
    ownership::Ending,
    sync::AtomicU64,
};

/// How far a permit has been given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bulkhead) enum Left {
    /// Nothing has been done yet, because there is more to do than that.
    NotYet,
    /// It is off its partition's word, and still on the pool's.
    OnlyThePartition,
}

/// A permit that is to be given back: the words that count it, and nothing else of the gate, which may be gone when it is.
pub(in crate::bulkhead) struct Leaving<'a> {
    partition: Option<&'a AtomicU64>,
    pool: &'a AtomicU64,
    // Whatever else there is to do.
    anyway: Option<Left>,
}

impl Gate {
    /// Gives a permit back if that is all there is to do.
    #[inline(always)]
    pub(in crate::bulkhead) fn leaving(&self, place: Place) -> Leaving<'_> {
        let partition = match place.partition() {
            None => None,
            Some(_) => self.compartment(place),
        };
        Leaving {
            partition: partition.map(|compartment| compartment.word()),
            pool: &self.word,
            anyway: None,
        }
    }

    // Gives one of the pool's permits back. The caller must serve afterwards.
    pub(super) fn leave(&self) {
        leave_pool(&self.word);
    }

    /// Gives a permit back, and passes it on if somebody waits. Only for who has a share in the gate besides the permit.
    pub(in crate::bulkhead) fn release(&self, place: Place) {
        if let Err(so_far) = self.leaving(place).count() {
            let _done = self.leaving(place).anyway(so_far).count();
            self.serve();
        }
    }
}

impl Leaving<'_> {
    /// Gives it back, or what is left of it, whatever else there is to do: the caller must [`serve`](Gate::serve) afterwards.
    pub(in crate::bulkhead) fn anyway(self, so_far: Left) -> Self {
        Self {
            anyway: Some(so_far),
            ..self
        }
    }

    #[inline(always)]
    fn leave(self) -> Result<(), Left> {
        match self.partition {
            None => try_leave_pool(self.pool, Left::NotYet),
            Some(partition) => try_leave_partition(partition, self.pool),
        }
    }

    fn leave_anyway(self, so_far: Left) {
        if let (Left::NotYet, Some(partition)) = (so_far, self.partition) {
            let left = compartment::update(partition, |state| Some(state.leave()));
            if left.is_ok_and(|before| before.borrowed() == 0) {
                return;
            }
        }
        leave_pool(self.pool);
    }
}

impl Ending for Leaving<'_> {
    type Rest = Left;

    #[inline(always)]
    fn count(self) -> Result<(), Left> {
        match self.anyway {
            None => self.leave(),
            Some(so_far) => {
                self.leave_anyway(so_far);
                Ok(())
            }
        }
    }
}

fn leave_pool(pool: &AtomicU64) {
    let _ = Word::update(pool, |word| Some(word.leave()));
}

#[inline(always)]
fn try_leave_pool(pool: &AtomicU64, otherwise: Left) -> Result<(), Left> {
    let left = Word::update(pool, |word| word.needs_no_attention().then(|| word.leave()));
    left.map(drop).map_err(|_| otherwise)
}

fn try_leave_partition(partition: &AtomicU64, pool: &AtomicU64) -> Result<(), Left> {
    // One that the pool carries is on the pool's word still, and so all the same alive.
    let left = compartment::update(partition, |state: State| {
        (state.borrowed() > 0 || state.needs_no_attention()).then(|| state.leave())
    });
    match left {
        Err(_) => Err(Left::NotYet),
        Ok(before) if before.borrowed() > 0 => try_leave_pool(pool, Left::OnlyThePartition),
        Ok(_) => Ok(()),
    }
}
