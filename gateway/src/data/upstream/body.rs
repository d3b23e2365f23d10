//! Bodies of upstreams' answers.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};
use tower::BoxError;

use tower_breaker::classify::Verdict;

use super::pool::Lease;
use crate::data::{
    endpoints::{InFlight, Moment},
    headers::clean_trailers,
};

/// An answer's body. When it has ended its connection is free for the next request; when it is dropped before, the connection is
/// closed.
#[derive(Debug)]
pub struct UpstreamBody {
    incoming: Incoming,
    /// What was looked at before its turn.
    first: Option<Frame<Bytes>>,
    lease: Option<Lease>,
    in_flight: Option<InFlight>,
    patience: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

/// The upstream stopped sending in the middle of its answer.
#[derive(Debug, thiserror::Error)]
#[error("the upstream sent nothing of its answer's body for {0:?}")]
pub struct Stalled(Duration);

impl UpstreamBody {
    /// With at most `patience` between two pieces.
    #[must_use]
    pub fn new(
        incoming: Incoming,
        lease: Option<Lease>,
        in_flight: InFlight,
        patience: Option<Duration>,
    ) -> Self {
        let mut body = Self {
            incoming,
            first: None,
            lease,
            in_flight: Some(in_flight),
            patience,
            timer: None,
            waiting: false,
        };
        body.end_if_over();
        body
    }

    /// Looks at what came of the body together with the head, if nothing else tells how much of it there must be. As long as nothing
    /// has been sent to the client, a body that is broken from its beginning can still become another answer, instead of a connection
    /// that is closed without a word. Nothing is waited for.
    ///
    /// # Errors
    /// It is broken.
    pub async fn look(&mut self) -> Result<(), BoxError> {
        if self.incoming.is_end_stream() || self.incoming.size_hint().exact().is_some() {
            return Ok(());
        }
        // The first look makes the connection's task read the body, and it gets its turn before the second.
        for is_second in [false, true] {
            let looked = poll_fn(|cx| Poll::Ready(Pin::new(&mut *self).poll_frame(cx))).await;
            match looked {
                Poll::Ready(Some(frame)) => {
                    self.first = Some(frame?);
                    break;
                }
                Poll::Ready(None) => break,
                Poll::Pending if is_second => break,
                Poll::Pending => tokio::task::yield_now().await,
            }
        }
        Ok(())
    }

    fn end_if_over(&mut self) {
        if self.incoming.is_end_stream() {
            self.end();
        }
    }

    /// All of it has come.
    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.finish(Verdict::Success, Moment::now());
        }
    }

    /// The rest of it will not.
    #[cold]
    fn fail(&mut self) {
        self.lease = None;
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.finish(Verdict::Failure, Moment::now());
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Stalled> {
        let Some(patience) = self.patience else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(Instant::now() + patience);
        }
        timer.as_mut().poll(cx).map(|()| Stalled(patience))
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.waiting = false;
                if let Some(trailers) = frame.trailers_mut() {
                    clean_trailers(trailers);
                }
                self.end_if_over();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.fail();
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_patience(cx).map(|stalled| {
                self.fail();
                Some(Err(stalled.into()))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
