use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures_core::Stream;
use tokio::sync::mpsc::UnboundedReceiver;

/// Something that happened to a bulkhead; see [`BulkheadBuilder::listener`](super::BulkheadBuilder::listener) and
/// [`Bulkhead::events`](super::Bulkhead::events).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The bulkhead's name.
    pub name: Arc<str>,
    /// When it was noticed, by tokio's clock.
    pub at: Instant,
    /// What it was.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// The limit has been changed by hand. The moves of an adaptive limit are no events; a snapshot has where it stands.
    #[non_exhaustive]
    Resized {
        /// What it was.
        from: usize,
        /// What it is.
        to: usize,
    },
    /// A call has found every permit out, and was refused or has to wait: the first one since the bulkhead was free.
    Saturated,
    /// Nobody waits any more, and at least an eighth of the permits is free, or one if there are fewer than sixteen.
    Relieved,
}

/// Every event after [`Bulkhead::events`](super::Bulkhead::events) was called, each once and in order. A [`Stream`] that ends when
/// the bulkhead is gone: its last handle, and the last of its permits.
///
/// Nothing is dropped for a reader that is slow: what it has not read yet is kept, so one that is held and never read grows.
/// Dropping it unsubscribes.
pub struct Events {
    receiver: UnboundedReceiver<Event>,
}

impl Events {
    pub(super) fn new(receiver: UnboundedReceiver<Event>) -> Self {
        Self { receiver }
    }

    /// The next event; `None` when the bulkhead is gone. Dropped while it waits, it loses nothing.
    pub async fn recv(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
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
