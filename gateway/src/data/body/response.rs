//! Bodies of answers on their way to the client.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use service_kit::runtime::own_errors::Turn;
use tokio::time::{Sleep, sleep_until};
use tower::BoxError;

use crate::data::exchange::Exchange;

pin_project! {
    /// A body, whoever made it, and what lasts as long as it does: the exchange, and the connection's turn.
    pub struct ResponseBody<B> {
        #[pin]
        content: Content<B>,
        // The head speaks of a body that is not there.
        unknown_length: bool,
        deadline: Option<Instant>,
        timer: Option<Pin<Box<Sleep>>>,
        exchange: Option<Rc<Exchange>>,
        turn: Option<Turn>,
    }
}

pin_project! {
    #[project = ContentProjection]
    enum Content<B> {
        Upstream { #[pin] body: B },
        Whole { bytes: Option<Bytes> },
        // Only for answers of the gateway's own, which are not on the hot path.
        Own { body: axum::body::Body },
    }
}

/// The answer took longer than the whole exchange may.
#[derive(Debug, thiserror::Error)]
#[error("the exchange took longer than its total time-out")]
struct TotalTimeout;

impl<B> ResponseBody<B> {
    fn of(content: Content<B>) -> Self {
        Self {
            content,
            unknown_length: false,
            deadline: None,
            timer: None,
            exchange: None,
            turn: None,
        }
    }

    /// What comes from an upstream.
    #[must_use]
    pub fn upstream(body: B) -> Self {
        Self::of(Content::Upstream { body })
    }

    /// What is there already.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self::of(Content::Whole { bytes: Some(bytes) })
    }

    /// What the gateway answers itself.
    #[must_use]
    pub fn own(body: axum::body::Body) -> Self {
        Self::of(Content::Own { body })
    }

    /// Announces no length: that of an empty body would be mistaken for the length of what the head describes (`HEAD`, 304).
    #[must_use]
    pub fn of_unknown_length(mut self, unknown: bool) -> Self {
        self.unknown_length = unknown;
        self
    }

    /// Breaks off at `deadline`.
    #[must_use]
    pub fn until(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// What ends with it.
    #[must_use]
    pub fn carrying(mut self, exchange: Rc<Exchange>, turn: Option<Turn>) -> Self {
        self.exchange = Some(exchange);
        self.turn = turn;
        self
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let polled = match this.content.project() {
            ContentProjection::Upstream { body } => body
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
            ContentProjection::Whole { bytes } => Poll::Ready(
                bytes
                    .take()
                    .filter(|bytes| !bytes.is_empty())
                    .map(|bytes| Ok(Frame::data(bytes))),
            ),
            ContentProjection::Own { body } => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
        };
        match (polled, &this.deadline) {
            (Poll::Pending, Some(deadline)) => {
                let timer = this
                    .timer
                    .get_or_insert_with(|| Box::pin(sleep_until((*deadline).into())));
                timer
                    .as_mut()
                    .poll(cx)
                    .map(|()| Some(Err(TotalTimeout.into())))
            }
            // A body that always has more is cut off as well; what has ended in time has ended.
            (Poll::Ready(Some(Ok(_))), Some(deadline))
                if tokio::time::Instant::now() >= (*deadline).into() =>
            {
                Poll::Ready(Some(Err(TotalTimeout.into())))
            }
            (polled, _) => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.unknown_length
            && match &self.content {
                Content::Upstream { body } => body.is_end_stream(),
                Content::Whole { bytes } => bytes.as_ref().is_none_or(Bytes::is_empty),
                Content::Own { body } => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        if self.unknown_length {
            return SizeHint::default();
        }
        match &self.content {
            Content::Upstream { body } => body.size_hint(),
            Content::Whole { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Own { body } => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    /// Always there when it is asked for: what limits it is the client.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_waits_is_cut_off_in_time() {
        let endless =
            stream::repeat_with(|| Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"more"))));
        let limit = Duration::from_secs(3);
        let began = tokio::time::Instant::now();
        let deadline = (began + limit).into_std();
        let mut body = ResponseBody::upstream(StreamBody::new(endless)).until(Some(deadline));
        let error = loop {
            match body.frame().await {
                Some(Ok(_)) => tokio::time::advance(Duration::from_secs(1)).await,
                Some(Err(error)) => break error,
                None => unreachable!("it is endless"),
            }
            assert!(began.elapsed() < limit * 2, "it goes on");
        };
        assert!(error.is::<TotalTimeout>(), "{error}");
        assert_eq!(began.elapsed(), limit);
    }
}
