//! Request bodies on their way to an upstream.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::{RequestBodyError, replay::Reading};
use crate::data::{exchange::Exchange, headers::clean_trailers};

/// What is sent to an upstream: the client's body as it comes, within bounds, and the exchange it belongs to.
#[derive(Debug)]
pub struct Outgoing {
    content: Content,
    exchange: Rc<Exchange>,
}

#[derive(Debug)]
enum Content {
    Empty,
    // In a box: most requests have no body, and each is moved several times.
    Stream(Box<Stream>),
    Replayed(Reading),
}

#[derive(Debug)]
pub(super) struct Stream {
    body: Incoming,
    limit: u64,
    left: u64,
    patience: Option<Duration>,
    // Made when the client first makes us wait, so that a body that comes with its head has none.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Outgoing {
    /// Streams `body`: at most `limit` bytes, with at most `patience` between two pieces.
    #[must_use]
    pub fn new(
        body: Incoming,
        limit: u64,
        patience: Option<Duration>,
        exchange: Rc<Exchange>,
    ) -> Self {
        let content = if body.is_end_stream() {
            Content::Empty
        } else {
            Content::Stream(Box::new(Stream {
                body,
                limit,
                left: limit,
                patience,
                timer: None,
                waiting: false,
            }))
        };
        Self { content, exchange }
    }

    #[cfg(test)]
    pub(super) fn empty(exchange: Rc<Exchange>) -> Self {
        let content = Content::Empty;
        Self { content, exchange }
    }

    /// The exchange that it is part of.
    #[must_use]
    pub fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }

    /// Keeps what is sent, up to `most` bytes, so that it can be [copied](Self::copy).
    #[must_use]
    pub fn kept(mut self, most: usize) -> Self {
        self.content = match self.content {
            Content::Stream(stream) => Content::Replayed(Reading::new(*stream, most)),
            other => other,
        };
        self
    }

    /// Another one that says the same, if there is nothing in it or it is kept.
    #[must_use]
    pub fn copy(&self) -> Option<Self> {
        let content = match &self.content {
            Content::Empty => Content::Empty,
            Content::Replayed(reading) => Content::Replayed(reading.again()),
            Content::Stream(_) => return None,
        };
        Some(Self {
            content,
            exchange: self.exchange.clone(),
        })
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.content, Content::Empty)
    }

    /// Whether it can still be sent from its beginning.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Replayed(reading) => reading.is_kept(),
            Content::Stream(_) => false,
        }
    }
}

impl Stream {
    pub(super) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.waiting = false;
                if let Some(trailers) = frame.trailers_mut() {
                    clean_trailers(trailers);
                }
                if let Some(data) = frame.data_ref() {
                    let size = data.len() as u64;
                    if size > self.left {
                        return Poll::Ready(Some(Err(RequestBodyError::TooLarge(self.limit))));
                    }
                    self.left -= size;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Some(Err(RequestBodyError::Broken(Some(error)))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.poll_patience(cx),
        }
    }

    fn poll_patience(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let Some(patience) = self.patience else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(tokio::time::Instant::now() + patience);
        }
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(RequestBodyError::TooSlow)))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = &mut *self;
        let polled = match &mut this.content {
            Content::Empty => return Poll::Ready(None),
            Content::Stream(stream) => stream.poll(cx),
            // Nobody waits for what becomes of it, and it is not the client's fault.
            Content::Replayed(reading) if reading.is_over() => {
                return Poll::Ready(Some(Err(RequestBodyError::Broken(None))));
            }
            Content::Replayed(reading) => reading.poll(cx),
        };
        this.exchange.set_waits_for_client(polled.is_pending());
        if let Poll::Ready(Some(Err(error))) = &polled {
            this.exchange.request_body_failed(error);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Stream(stream) => stream.is_end_stream(),
            Content::Replayed(reading) => reading.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Stream(stream) => stream.size_hint(),
            Content::Replayed(reading) => reading.size_hint(),
        }
    }
}
