//! Requests that an HTTP/2 client resets before they are answered (CVE-2023-44487).
//!
//! hyper counts those that it has not yet handed over. A client that waits a moment before it resets is not seen by that, though it
//! costs more: each of its requests has gone to an upstream, and none of them counts as a stream that is open.

use std::{cell::Cell, rc::Rc};

use tokio::sync::Notify;

/// How many more a connection may reset. Each answer gives one back, so that a client that now and then changes its mind can go on for
/// ever.
#[derive(Debug)]
pub(super) struct Resets {
    most: usize,
    left: Cell<usize>,
    used_up: Notify,
}

impl Resets {
    /// Allows `most` more than were answered.
    pub fn new(most: usize) -> Rc<Self> {
        Rc::new(Self {
            most,
            left: Cell::new(most),
            used_up: Notify::new(),
        })
    }

    /// A request has come.
    pub fn begin(self: &Rc<Self>) -> Unanswered {
        Unanswered {
            resets: self.clone(),
            is_answered: false,
        }
    }

    /// Waits until there have been too many.
    pub async fn used_up(&self) {
        self.used_up.notified().await;
    }
}

/// A request without an answer; dropped so, it has been reset.
#[derive(Debug)]
pub(super) struct Unanswered {
    resets: Rc<Resets>,
    is_answered: bool,
}

impl Unanswered {
    /// It has one.
    pub fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let Resets {
            most,
            left,
            used_up,
        } = &*self.resets;
        if self.is_answered {
            left.set((left.get() + 1).min(*most));
        } else if let Some(fewer) = left.get().checked_sub(1) {
            left.set(fewer);
        } else {
            used_up.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn more_resets_than_answers_use_it_up() {
        let resets = Resets::new(2);
        for _ in 0..10 {
            drop(resets.begin());
            resets.begin().answered();
        }
        drop(resets.begin());
        drop(resets.begin());
        assert!(resets.used_up().now_or_never().is_none());
        drop(resets.begin());
        assert!(resets.used_up().now_or_never().is_some());
    }

    #[test]
    fn answers_are_no_credit_without_end() {
        let resets = Resets::new(1);
        for _ in 0..10 {
            resets.begin().answered();
        }
        drop(resets.begin());
        drop(resets.begin());
        assert!(resets.used_up().now_or_never().is_some());
    }
}
