//! A body that is read before it is sent, so that it can be sent twice.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A body of which up to a limit was read in advance. If that was all, it can be copied; otherwise it goes on with the
    /// rest as it comes, and cannot.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http_body_util::Full;
    /// use tower_breaker::retry::{BufferedBody, HttpRequests, RetryPolicy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_breaker::BoxError> {
    /// // The same for a body that streams:
    /// let body = BufferedBody::read(Full::new(Bytes::from("7 apples")), 64 * 1024).await?;
    /// assert!(body.copy().is_some());
    /// // A retry policy for requests with such bodies.
    /// let replay = HttpRequests::bodies(BufferedBody::<Full<Bytes>>::copy);
    /// let retry = RetryPolicy::builder(replay).build()?;
    /// # let _ = retry;
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Debug)]
    pub struct BufferedBody<B> {
        // Not handed on yet; empty if there is none.
        data: Bytes,
        trailers: Option<HeaderMap>,
        #[pin]
        rest: Option<B>,
    }
}

impl<B: Body + Unpin> BufferedBody<B> {
    /// Reads a body to its end, or until more than `limit` bytes are there. One that says at once that it is longer is not read at
    /// all.
    ///
    /// Reading waits for whoever sends the body: bound it in time as you would bound a call. If it is given up, what was read is
    /// lost.
    ///
    /// # Errors
    ///
    /// The body's own.
    pub async fn read(mut body: B, limit: usize) -> Result<Self, B::Error> {
        let fits = |length: u64| usize::try_from(length).is_ok_and(|length| length <= limit);
        if !fits(body.size_hint().lower()) {
            return Ok(Self {
                data: Bytes::new(),
                trailers: None,
                rest: Some(body),
            });
        }
        let mut pieces = Pieces::default();
        loop {
            let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else {
                return Ok(pieces.into_body(None, None));
            };
            match frame?.into_data() {
                Ok(mut data) => pieces.push(data.copy_to_bytes(data.remaining())),
                Err(frame) => {
                    // Trailers are the end of a body, and there are no other frames.
                    return Ok(pieces.into_body(frame.into_trailers().ok(), None));
                }
            }
            if pieces.length() > limit {
                return Ok(pieces.into_body(None, Some(body)));
            }
        }
    }
}

impl<B> BufferedBody<B> {
    /// A copy of a body that was read to its end. Shares the bytes. `None` if it goes on.
    pub fn copy(&self) -> Option<Self> {
        match self.rest {
            Some(_) => None,
            None => Some(Self {
                data: self.data.clone(),
                trailers: self.trailers.clone(),
                rest: None,
            }),
        }
    }
}

/// What has been read. Most bodies are one piece, which is not copied.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    more: BytesMut,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        if self.length() == 0 {
            self.first = piece;
            return;
        }
        if self.more.is_empty() {
            self.more.extend_from_slice(&self.first);
        }
        self.more.extend_from_slice(&piece);
    }

    fn length(&self) -> usize {
        self.first.len().max(self.more.len())
    }

    fn into_body<B>(self, trailers: Option<HeaderMap>, rest: Option<B>) -> BufferedBody<B> {
        let data = if self.more.is_empty() {
            self.first
        } else {
            self.more.freeze()
        };
        BufferedBody {
            data,
            trailers,
            rest,
        }
    }
}

impl<B: Body> Body for BufferedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if !this.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(this.data)))));
        }
        if let Some(trailers) = this.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let Some(rest) = this.rest.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let frame = ready!(rest.poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty()
            && self.trailers.is_none()
            && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.data.len() as u64;
        let mut all = SizeHint::new();
        let Some(rest) = &self.rest else {
            all.set_lower(read);
            // HTTP/1 would announce the length, and then can send no trailers.
            if self.trailers.is_none() {
                all.set_upper(read);
            }
            return all;
        };
        let rest = rest.size_hint();
        all.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            all.set_upper(upper.saturating_add(read));
        }
        all
    }
}
