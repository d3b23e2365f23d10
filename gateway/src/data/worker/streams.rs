//! Streams of an HTTP/2 connection whose client does not take what it asked for.
//!
//! Such a client keeps its window closed. hyper then asks for no more of the answer's body, and nothing is written either, so that no
//! time-out of the connection or of the body would ever end it: the upstream's connection and the guards' permits would be held for as
//! long as the client likes. The task of the stream is what can still be ended, and with it this stream alone.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// Since when a stream's client has had something to take.
#[derive(Debug, Default)]
pub(super) struct Offer {
    since: Cell<Option<Instant>>,
}

/// Spawns a connection's streams on the worker's own thread, and ends each whose client takes nothing for too long.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    patience: Duration,
    // hyper calls the service for a stream, and then spawns it.
    begun: Rc<RefCell<Option<Rc<Offer>>>>,
}

impl Streams {
    /// Clients may take so long for each piece.
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            begun: Rc::default(),
        }
    }

    /// The service has been called for a stream, which will be spawned next.
    pub fn begin(&self) -> Rc<Offer> {
        let offer = Rc::new(Offer::default());
        *self.begun.borrow_mut() = Some(offer.clone());
        offer
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, future: F) {
        match self.begun.take() {
            None => tokio::task::spawn_local(future),
            Some(offer) => tokio::task::spawn_local(Stream {
                future,
                offer,
                patience: self.patience,
                timer: None,
            }),
        };
    }
}

pin_project! {
    struct Stream<F> {
        #[pin]
        future: F,
        offer: Rc<Offer>,
        patience: Duration,
        // Made when the client first makes us wait.
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.future.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = this.offer.since.get() else {
            return Poll::Pending;
        };
        let by = since + *this.patience;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(by)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= by {
                tracing::debug!(
                    "an HTTP/2 stream was reset: its client takes nothing of its answer"
                );
                return Poll::Ready(());
            }
            timer.as_mut().reset(by);
        }
    }
}

pin_project! {
    /// An answer's body, which notes whether more of it is wanted.
    pub(super) struct Offered<B> {
        #[pin]
        body: B,
        offer: Rc<Offer>,
    }
}

impl<B> Offered<B> {
    /// From now on there is something to take.
    pub fn new(body: B, offer: Rc<Offer>) -> Self {
        offer.since.set(Some(Instant::now()));
        Self { body, offer }
    }
}

impl<B: Body> Body for Offered<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        // While it is asked and has nothing, it is not the client that is waited for.
        let since = polled.is_ready().then(Instant::now);
        this.offer.since.set(since);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
