//! Labels for metrics, of which there are only so many.

use std::{collections::HashSet, sync::Arc};

/// What stands for all keys that came too late for a label of their own.
pub const OTHER: &str = "other";

/// The first names that come get a label of their own, and keep it.
#[derive(Debug)]
pub(super) struct Labels {
    most: usize,
    given: HashSet<Arc<str>>,
    other: Arc<str>,
}

impl Labels {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            given: HashSet::new(),
            other: OTHER.into(),
        }
    }

    /// Gives this name a label, if there is one left.
    pub(super) fn give(&mut self, name: &str) {
        if self.given.len() < self.most && name != OTHER && !self.given.contains(name) {
            self.given.insert(name.into());
        }
    }

    /// The label of this name, if it has got one, and else that of all others.
    pub(super) fn of(&self, name: &str) -> Arc<str> {
        Arc::clone(self.given.get(name).unwrap_or(&self.other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_keep_their_labels_and_the_rest_share_one() {
        let mut labels = Labels::new(2);
        assert_eq!(&*labels.of("a"), OTHER);
        for name in ["a", OTHER, "a", "b", "c", "a"] {
            labels.give(name);
        }
        let of = |name| labels.of(name).to_string();
        assert_eq!(["a", "b", "c", OTHER].map(of), ["a", "b", OTHER, OTHER]);
        let mut none = Labels::new(0);
        none.give("a");
        assert_eq!(&*none.of("a"), OTHER);
    }
}
