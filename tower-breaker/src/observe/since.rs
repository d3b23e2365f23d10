//! What guards have counted since they were last looked at.
//!
//! A guard is known by its id, because names may repeat and guards may be replaced. Ids grow with every guard that is built. One
//! that is not known but no newer than the newest is of a guard that has been away, or was not told of until now: counted from its
//! beginning, it could be counted twice, so it counts from now on.

use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct Since {
    guards: HashMap<u64, Seen>,
    // As of the look before this one, and of this one.
    known_up_to: u64,
    newest: u64,
    look: u64,
}

// A guard as it was when it was last looked at.
#[derive(Debug)]
struct Seen {
    totals: Box<[u64]>,
    look: u64,
}

impl Since {
    /// Begins to look at all guards.
    pub(super) fn begin(&mut self) {
        self.look += 1;
        self.known_up_to = self.newest;
    }

    /// Takes a guard's totals, and gives by how much each has grown; nothing if the guard was looked at already.
    pub(super) fn advance(
        &mut self,
        id: u64,
        totals: impl Iterator<Item = u64> + Clone,
    ) -> Option<impl Iterator<Item = u64>> {
        let is_new = id > self.known_up_to;
        let seen = self.guards.entry(id).or_insert_with(|| Seen {
            totals: totals
                .clone()
                .map(|total| if is_new { 0 } else { total })
                .collect(),
            look: 0,
        });
        if seen.look == self.look {
            return None;
        }
        seen.look = self.look;
        self.newest = self.newest.max(id);
        Some(totals.zip(&mut seen.totals).map(|(total, last)| {
            let more = total.saturating_sub(*last);
            // Two that look at the same time may come in the wrong order.
            *last = total.max(*last);
            more
        }))
    }

    /// Ends it: what was not looked at is gone.
    pub(super) fn end(&mut self) {
        let look = self.look;
        self.guards.retain(|_, seen| seen.look == look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look<const N: usize>(since: &mut Since, guards: [(u64, u64); N]) -> Vec<Option<u64>> {
        since.begin();
        let more = guards.map(|(id, total)| {
            let more = since.advance(id, std::iter::once(total));
            more.map(|more| more.sum())
        });
        since.end();
        more.into()
    }

    #[test]
    fn what_a_new_guard_has_counted_is_news_and_nothing_is_news_twice() {
        let mut since = Since::default();
        assert_eq!(look(&mut since, [(2, 5), (1, 7)]), [Some(5), Some(7)]);
        assert_eq!(look(&mut since, [(2, 5), (1, 9)]), [Some(0), Some(2)]);
        assert_eq!(look(&mut since, [(2, 6), (2, 8)]), [Some(1), None]);
        assert_eq!(look(&mut since, [(1, 9), (3, 4)]), [Some(0), Some(4)]);
    }

    #[test]
    fn an_older_look_that_comes_later_takes_nothing_back() {
        let mut since = Since::default();
        look(&mut since, [(1, 7)]);
        assert_eq!(look(&mut since, [(1, 6)]), [Some(0)]);
        assert_eq!(look(&mut since, [(1, 8)]), [Some(1)]);
    }

    #[test]
    fn guards_that_have_gone_are_forgotten() {
        let mut since = Since::default();
        for id in 1..100 {
            look(&mut since, [(id, 1)]);
            assert_eq!(since.guards.len(), 1);
        }
    }
}
