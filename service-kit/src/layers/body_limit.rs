//! Bodies beyond the limit are refused, whether they announce their length or not.

use crate::BoxError;
use crate::problem::Problem;
use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use http::{Request, header};
use http_body::{Frame, SizeHint};
use http_body_util::Limited;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

/// What is read beyond the limit before the connection is given up. A client that sends its whole body before it reads
/// would otherwise see a broken connection instead of the 413.
const PATIENCE: u64 = 1 << 20;

/// How long that may take when the body is not being read by anyone.
const PATIENCE_TIME: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimitLayer {
    limit: u64,
}

impl BodyLimitLayer {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for BodyLimitLayer {
    type Service = BodyLimit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BodyLimit {
            inner,
            limit: self.limit,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct BodyLimit<S> {
    inner: S,
    limit: u64,
}

impl<S> Service<Request<Body>> for BodyLimit<S>
where
    S: Service<Request<Body>, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BodyLimitFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match announced(&request) {
            // hyper reads exactly what was announced.
            Some(length) if length <= self.limit => BodyLimitFuture::Running {
                answer: self.inner.call(request),
            },
            Some(_) => {
                // Who asks first has not sent it yet, and reading would tell it to.
                let waits = request.headers().contains_key(header::EXPECT);
                let body = if waits {
                    Body::empty()
                } else {
                    request.into_body()
                };
                let discard = Limited::new(body, PATIENCE as usize);
                BodyLimitFuture::Refused {
                    discard,
                    limit: self.limit,
                    timer: sleep(PATIENCE_TIME),
                }
            }
            None => {
                let limit = self.limit;
                let request = request.map(|body| {
                    Body::new(Capped {
                        body,
                        limit,
                        seen: 0,
                    })
                });
                BodyLimitFuture::Running {
                    answer: self.inner.call(request),
                }
            }
        }
    }
}

fn announced(request: &Request<Body>) -> Option<u64> {
    if request.body().is_end_stream() {
        return Some(0);
    }
    request
        .headers()
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

pin_project_lite::pin_project! {
    #[project = BodyLimitProjection]
    pub(super) enum BodyLimitFuture<F> {
        Running { #[pin] answer: F },
        Refused { #[pin] discard: Limited<Body>, limit: u64, #[pin] timer: Sleep },
    }
}

impl<F, E> Future for BodyLimitFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            BodyLimitProjection::Running { answer } => answer.poll(cx),
            BodyLimitProjection::Refused {
                mut discard,
                limit,
                timer,
            } => {
                if timer.poll(cx).is_pending() {
                    while let Some(Ok(_)) = ready!(discard.as_mut().poll_frame(cx)) {}
                }
                Poll::Ready(Ok(Problem::content_too_large(Some(*limit)).into_response()))
            }
        }
    }
}

pin_project_lite::pin_project! {
    /// A body of unknown length that fails once it is beyond the limit.
    struct Capped {
        #[pin]
        body: Body,
        limit: u64,
        seen: u64,
    }
}

impl HttpBody for Capped {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        loop {
            let frame = ready!(this.body.as_mut().poll_frame(cx));
            match frame {
                Some(Ok(frame)) => {
                    *this.seen += frame.data_ref().map_or(0, |data| data.remaining() as u64);
                    if *this.seen <= *this.limit {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    if *this.seen > this.limit.saturating_add(PATIENCE) {
                        return Poll::Ready(Some(Err(Box::new(BodyTooLarge {
                            limit: *this.limit,
                        }))));
                    }
                }
                None if *this.seen > *this.limit => {
                    return Poll::Ready(Some(Err(Box::new(BodyTooLarge { limit: *this.limit }))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.seen <= self.limit
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// The request's body turned out longer than the limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyTooLarge {
    pub limit: u64,
}

impl fmt::Display for BodyTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body is larger than {} bytes", self.limit)
    }
}

impl std::error::Error for BodyTooLarge {}
