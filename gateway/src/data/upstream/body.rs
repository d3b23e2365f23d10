//! Bodies of upstreams' answers.

use std::{
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
            lease,
            in_flight: Some(in_flight),
            patience,
            timer: None,
            waiting: false,
        };
        body.end_if_over();
        body
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
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
