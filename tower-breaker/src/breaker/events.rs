//! Transitions as a stream.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::sync::mpsc::UnboundedReceiver;

use super::Transition;

/// Every transition after [`CircuitBreaker::events`](super::CircuitBreaker::events) was called, each once and in order. A
/// [`Stream`] that ends when the circuit is gone: its last handle, and the last of its calls. (If the two go at the very same moment,
/// it may end only when other circuits go.)
///
/// Nothing is dropped for a reader that is slow: what it has not read yet is kept. Transitions are rare, but a stream that is
/// held and never read grows. Dropping it unsubscribes.
pub struct Events {
    receiver: UnboundedReceiver<Transition>,
}

impl Events {
    pub(super) fn new(receiver: UnboundedReceiver<Transition>) -> Self {
        Self { receiver }
    }

    /// The next transition; `None` when the circuit is gone. Dropped while it waits, it loses nothing.
    pub async fn recv(&mut self) -> Option<Transition> {
        self.receiver.recv().await
    }

    /// The next transition, if there is one already.
    pub fn try_recv(&mut self) -> Option<Transition> {
        self.receiver.try_recv().ok()
    }
}

impl Stream for Events {
    type Item = Transition;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Transition>> {
        self.receiver.poll_recv(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("unread", &self.receiver.len())
            .finish_non_exhaustive()
    }
}
