//! A body that does as it is told.

// Not every binary that shares this uses all of it.
#![allow(dead_code, clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    future::ready,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tower::{Service, service_fn};
use tower_breaker::BoxError;

#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Data(&'static str),
    Trailers(&'static str),
    Fail,
    Wait,
    Panic,
}
use Step::{Data, Fail, Panic, Trailers, Wait};

/// Plays its steps, then ends. Knows beforehand that it ends if it has a length.
#[derive(Debug, Clone, Default)]
pub struct Script {
    steps: VecDeque<Step>,
    has_length: bool,
}

pub fn script(steps: &[Step]) -> Script {
    Script {
        steps: steps.iter().cloned().collect(),
        has_length: false,
    }
}

pub fn with_length(steps: &[Step]) -> Script {
    Script {
        has_length: true,
        ..script(steps)
    }
}

pub fn trailers(status: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers
}

impl Body for Script {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match self.steps.pop_front() {
            Some(Data(text)) => Some(Ok(Frame::data(Bytes::from(text)))),
            Some(Trailers(status)) => Some(Ok(Frame::trailers(trailers(status)))),
            Some(Fail) => Some(Err("connection reset".into())),
            Some(Wait) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Panic) => panic!("boom"),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.has_length && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        let left = self.steps.iter().map(|step| match step {
            Data(text) => text.len() as u64,
            _ => 0,
        });
        hint.set_lower(left.sum());
        hint
    }
}

impl From<String> for Script {
    fn from(_: String) -> Self {
        with_length(&[Data("refused")])
    }
}

/// A service that answers with this status and this body.
pub fn answer<B: Body + Clone>(
    status: u16,
    body: B,
) -> impl Service<
    Request<()>,
    Response = Response<B>,
    Error = BoxError,
    Future: Future<Output = Result<Response<B>, BoxError>> + Unpin,
> + Clone {
    service_fn(move |_| {
        let mut response = Response::new(body.clone());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        ready(Ok(response))
    })
}
