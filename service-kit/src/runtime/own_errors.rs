//! A body for the errors that hyper answers itself.
//!
//! A request that hyper cannot parse never reaches a service: hyper writes a bare status (400, 414, 431) and closes. The
//! connection's IO replaces that head by a whole problem. It does so only while nothing a service said can be in hyper's
//! buffer; whatever is not exactly such a head goes through as it is.

use crate::problem::{self, Problem};
use axum::body::{Body, HttpBody};
use bytes::{Buf, Bytes};
use http::StatusCode;
use http_body::{Frame, SizeHint};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What one connection's service and its IO know of each other. Both run in the connection's task.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Requests given to the service whose answers' bodies hyper still holds.
    live: AtomicUsize,
    /// A service's bytes may be in hyper's buffer.
    busy: AtomicBool,
}

impl Exchange {
    /// A request goes to the service.
    pub fn begin(&self) -> Turn {
        self.shared.live.fetch_add(1, Relaxed);
        self.shared.busy.store(true, Relaxed);
        Turn {
            shared: self.shared.clone(),
        }
    }

    /// Whether a request is being answered: nothing is awaited from the client but the rest of its body.
    pub fn is_live(&self) -> bool {
        self.shared.live.load(Relaxed) > 0
    }

    fn is_busy(&self) -> bool {
        self.shared.busy.load(Relaxed)
    }

    /// hyper flushes its IO only when its own buffer is empty.
    fn flushing(&self) {
        if self.is_busy() && self.shared.live.load(Relaxed) == 0 {
            self.shared.busy.store(false, Relaxed);
        }
    }
}

/// Lasts as long as hyper may ask the service for more of an answer.
#[derive(Debug)]
pub struct Turn {
    shared: Arc<Shared>,
}

impl Turn {
    /// The connection is no longer HTTP.
    pub fn never_ends(self) {
        self.shared.live.fetch_add(1, Relaxed);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.live.fetch_sub(1, Relaxed);
    }
}

pin_project_lite::pin_project! {
    /// An answer's body and its turn.
    pub(super) struct TurnBody {
        #[pin]
        body: Body,
        turn: Option<Turn>,
    }
}

impl TurnBody {
    pub fn new(body: Body, turn: Option<Turn>) -> Self {
        Self { body, turn }
    }
}

impl HttpBody for TurnBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The connection's IO.
#[derive(Debug)]
pub struct OwnErrors<T> {
    io: T,
    exchange: Exchange,
    /// What is written instead and has not gone out yet.
    instead: Bytes,
}

impl<T> OwnErrors<T> {
    /// Around a connection whose requests are announced to `exchange`.
    pub fn new(io: T, exchange: Exchange) -> Self {
        Self {
            io,
            exchange,
            instead: Bytes::new(),
        }
    }
}

impl<T: AsyncWrite + Unpin> OwnErrors<T> {
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.instead.has_remaining() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes a head of hyper's own, if that is what `bytes` is. Otherwise `None`: write it as it is.
    #[cold]
    fn take(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Option<io::Result<usize>>> {
        if self.instead.has_remaining()
            && let Err(error) = ready!(self.poll_instead(cx))
        {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(instead) = replacement(bytes) else {
            return Poll::Ready(None);
        };
        self.instead = instead;
        // What does not go out now does so when hyper flushes or shuts down.
        Poll::Ready(Some(match self.poll_instead(cx) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(bytes.len()),
        }))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for OwnErrors<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for OwnErrors<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.exchange.is_busy()
            && let Some(taken) = ready!(self.take(cx, bytes))
        {
            return Poll::Ready(taken);
        }
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.exchange.is_busy() {
            let mut filled = slices.iter().filter(|slice| !slice.is_empty());
            // A head without a body is one slice.
            let only = match (filled.next(), filled.next()) {
                (Some(only), None) => &**only,
                _ => &[],
            };
            if let Some(taken) = ready!(self.take(cx, only)) {
                return Poll::Ready(taken);
            }
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.exchange.flushing();
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The whole answer for a bare head of hyper's; `None` for anything that is not exactly one.
fn replacement(bytes: &[u8]) -> Option<Bytes> {
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status_line = lines.next()?;
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| status_line.strip_prefix("HTTP/1.0 "))?
        .get(..3)?;
    let status = StatusCode::from_bytes(status.as_bytes()).ok()?;
    let detail = detail(status)?;
    let (mut empty, mut date) = (false, "");
    for line in lines {
        match line.split_once(": ")? {
            ("content-length", "0") => empty = true,
            ("connection", "close") => {}
            ("date", _) => date = line,
            _ => return None,
        }
    }
    // Without a length it is the answer to a HEAD, which has no body.
    if !empty {
        return None;
    }
    let body = Problem::of(status).detail(detail).to_text();
    tracing::debug!(%status, "a request that is not HTTP was refused");
    let mut answer = format!(
        "{status_line}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n",
        problem::CONTENT_TYPE,
        body.len()
    );
    if !date.is_empty() {
        answer.push_str(date);
        answer.push_str("\r\n");
    }
    answer.push_str("\r\n");
    answer.push_str(&body);
    Some(answer.into())
}

/// For the statuses hyper answers by itself.
fn detail(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::BAD_REQUEST => Some(
            "The request is not valid HTTP/1.1: its request line, a header or its length is malformed, or has a \
             character that must be percent-encoded",
        ),
        StatusCode::URI_TOO_LONG => Some("The request's path and query are too long"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            Some("The request has too many headers, or they are too large")
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
        date: Sat, 21 Nov 2026 10:00:00 GMT\r\n\r\n";

    /// What arrives when the pieces are written with `capacity` bytes of room at a time.
    async fn arriving(exchange: &Exchange, capacity: usize, pieces: &[&[u8]]) -> String {
        let (near, mut far) = duplex(capacity);
        let mut near = OwnErrors::new(near, exchange.clone());
        let writing = async {
            for piece in pieces {
                near.write_all(piece).await.expect("written");
                near.flush().await.expect("flushed");
            }
            near.shutdown().await.expect("shut down");
        };
        let mut text = String::new();
        let (_, read) = tokio::join!(writing, far.read_to_string(&mut text));
        read.expect("text");
        text
    }

    #[tokio::test]
    async fn a_bare_head_becomes_a_problem_however_little_goes_out_at_a_time() {
        for capacity in [1, 7, 4096] {
            let text = arriving(&Exchange::default(), capacity, &[BARE]).await;
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
            assert!(
                head.contains("\r\ncontent-type: application/problem+json\r\n"),
                "{text}"
            );
            assert!(head.contains("\r\nconnection: close\r\n"), "{text}");
            assert!(
                head.contains("\r\ndate: Sat, 21 Nov 2026 10:00:00 GMT"),
                "{text}"
            );
            assert!(
                head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())),
                "{text}"
            );
            let json: serde_json::Value = serde_json::from_str(body).expect("JSON");
            assert_eq!(
                (&json["status"], &json["type"]),
                (&400.into(), &"about:blank".into())
            );
        }
    }

    #[tokio::test]
    async fn what_a_service_says_goes_through_whatever_it_looks_like() {
        let bare = String::from_utf8(BARE.to_vec()).expect("text");
        let exchange = Exchange::default();
        let turn = exchange.begin();
        assert_eq!(
            arriving(&exchange, 5, &[BARE, BARE]).await,
            bare + &String::from_utf8_lossy(BARE)
        );
        drop(turn);
        // The last of it may still be in hyper's buffer; once that is flushed, hyper is on its own again.
        let text = arriving(&exchange, 4096, &[BARE, BARE]).await;
        assert!(text.starts_with(&String::from_utf8_lossy(BARE).into_owned()));
        assert!(text.ends_with('}'), "{text}");
        exchange.begin().never_ends();
        arriving(&exchange, 4096, &[b"x"]).await;
        assert!(
            arriving(&exchange, 4096, &[BARE])
                .await
                .ends_with("\r\n\r\n")
        );
    }

    #[test]
    fn only_a_bare_head_is_replaced() {
        assert!(replacement(BARE).is_some());
        assert!(replacement(b"HTTP/1.0 414 URI Too Long\r\ncontent-length: 0\r\n\r\n").is_some());
        let others: [&[u8]; 9] = [
            b"",
            b"HTTP/1.1 400",
            b"\xff\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nx: y\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nmore",
        ];
        for other in others {
            assert_eq!(replacement(other), None, "{}", other.escape_ascii());
        }
    }
}
