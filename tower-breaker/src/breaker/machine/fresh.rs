//! How a closed episode begins: with windows of its own.
//!
//! The windows are not in the state word, so they cannot begin afresh in the same instruction. A circuit that closes is marked
//! `fresh` instead: its windows still hold an earlier episode. Whoever closed it clears them and takes the mark away; whoever has
//! a result to record before that is done does it for him. Nothing is recorded while the mark is there, and nothing of an
//! earlier episode after (see the discipline in [`window`](super::super::window)), so clearing twice does no harm.

use super::{Change, Machine, change};
use crate::{
    breaker::{
        transition::Cause,
        word::{Duty, Phase, Word},
    },
    sync::Ordering,
};

impl Machine {
    /// A closed phase that begins.
    pub(super) fn closed(&self, next: u32, duty: Duty) -> Phase {
        Phase::Closed {
            failures: 0,
            next,
            fresh: !self.gauges.is_empty(),
            duty,
        }
    }

    /// Closes the circuit, or begins another closed episode.
    pub(super) fn begin_closed(
        &self,
        word: Word,
        next: Word,
        at: u64,
        cause: Cause,
    ) -> Result<Change, Word> {
        // Before the swap: who sees the new episode must not take it for as old as the last.
        self.closed_at.fetch_max(at, Ordering::AcqRel);
        self.swap(word, next)?;
        self.freshen(next.generation());
        Ok(change(word, next, at, cause))
    }

    /// Clears the windows for this closed episode, unless that has been done or the episode is over.
    pub(super) fn freshen(&self, generation: u32) {
        let fresh = || {
            let word = self.load();
            let is_fresh = word.generation() == generation
                && matches!(word.phase(), Phase::Closed { fresh: true, .. });
            is_fresh.then_some(word)
        };
        if fresh().is_none() {
            return;
        }
        for gauge in &self.gauges {
            gauge.clear(|| fresh().is_some());
        }
        while let Some(word) = fresh() {
            let Phase::Closed {
                failures,
                next,
                duty,
                ..
            } = word.phase()
            else {
                return;
            };
            let cleared = word.with(Phase::Closed {
                failures,
                next,
                fresh: false,
                duty,
            });
            if self.swap(word, cleared).is_ok() {
                return;
            }
        }
    }
}
