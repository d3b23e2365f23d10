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

    /// The label of this name, which gets one if there is one left.
    pub(super) fn give(&mut self, name: &str) -> Arc<str> {
        if let Some(label) = self.given.get(name) {
            return Arc::clone(label);
        }
        if self.given.len() >= self.most || name == OTHER {
            return Arc::clone(&self.other);
        }
        let label: Arc<str> = name.into();
        self.given.insert(Arc::clone(&label));
        label
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
        for _ in 0..2 {
            assert_eq!(&*labels.give("a"), "a");
            assert_eq!(&*labels.give(OTHER), OTHER);
            assert_eq!(&*labels.give("b"), "b");
            assert_eq!(&*labels.give("c"), OTHER);
        }
        assert_eq!((&*labels.of("b"), &*labels.of("c")), ("b", OTHER));
        assert_eq!(&*Labels::new(0).give("a"), OTHER);
    }
}
