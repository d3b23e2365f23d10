//! A client's connection: what was read ahead, and the patience with it.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use service_kit::runtime::own_errors::Exchange;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the first byte of a head to its end. `None` where heads are not told apart (HTTP/2).
    pub head: Option<Duration>,
    /// Between two requests.
    pub idle: Duration,
    /// To take some of what is sent to it.
    pub write: Duration,
}

/// A connection that fails when its client takes too long.
///
/// While a request is being answered nothing is expected of the client here (its body has a limit of its own), except that it takes
/// what is sent. One timer serves for all, and is only ever set anew when it has gone off too early or has to go off earlier: on a
/// connection that is in use it costs nothing.
#[derive(Debug)]
pub(super) struct ClientIo<T> {
    stream: T,
    read_ahead: Bytes,
    exchange: Exchange,
    patience: Patience,
    reading: Reading,
    write_by: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What is awaited from the client.
#[derive(Debug, Clone, Copy)]
enum Reading {
    /// Nothing: a request is being answered.
    Nothing,
    /// The first byte of a request.
    Request { by: Instant },
    /// The rest of its head.
    Head { by: Instant },
}

impl<T> ClientIo<T> {
    /// `read_ahead` is read again before anything else. `exchange` knows whether a request is being answered.
    pub fn new(stream: T, read_ahead: Bytes, exchange: Exchange, patience: Patience) -> Self {
        Self {
            stream,
            read_ahead,
            exchange,
            patience,
            reading: Reading::Nothing,
            write_by: None,
            timer: None,
        }
    }

    /// Some bytes of the client's have come.
    fn has_read(&mut self) {
        if let (false, Some(limit)) = (self.exchange.is_live(), self.patience.head) {
            self.reading = match self.reading {
                Reading::Head { by } => Reading::Head { by },
                Reading::Nothing | Reading::Request { .. } => Reading::Head {
                    by: Instant::now() + limit,
                },
            };
        } else {
            self.reading = Reading::Nothing;
        }
    }

    /// None have.
    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.exchange.is_live() {
            self.reading = Reading::Nothing;
            return Poll::Pending;
        }
        let by = match self.reading {
            Reading::Request { by } | Reading::Head { by } => by,
            Reading::Nothing => {
                let by = Instant::now() + self.patience.idle;
                self.reading = Reading::Request { by };
                by
            }
        };
        self.poll_timer(cx, by)
    }

    fn poll_writing(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let by = match self.write_by {
            Some(by) => by,
            None => {
                let by = Instant::now() + self.patience.write;
                self.write_by = Some(by);
                by
            }
        };
        self.poll_timer(cx, by)
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, by: Instant) -> Poll<io::Error> {
        let timer = match &mut self.timer {
            Some(timer) => {
                // Set too early, it goes off and is set again; set too late, it has to be set now.
                if timer.deadline() > by {
                    timer.as_mut().reset(by);
                } else if !timer.is_elapsed() {
                    // The task that waits for it is this connection's, and is the same as when it was set.
                    return Poll::Pending;
                }
                timer
            }
            none => none.insert(Box::pin(sleep_until(by))),
        };
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= by {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            timer.as_mut().reset(by);
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ClientIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.read_ahead.has_remaining() {
            let size = this.read_ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.read_ahead.split_to(size));
            this.has_read();
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(done) => {
                this.has_read();
                Poll::Ready(done)
            }
            Poll::Pending => this.poll_reading(cx).map(Err),
        }
    }
}

impl<T: AsyncWrite + Unpin> ClientIo<T> {
    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match write(Pin::new(&mut self.stream), cx) {
            Poll::Ready(done) => {
                self.write_by = None;
                Poll::Ready(done)
            }
            Poll::Pending => self.poll_writing(cx).map(Err),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ClientIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_flush(cx) {
            // hyper does not read again after an answer: it has been waiting for bytes all along. So this is the place to begin the
            // wait for the next request.
            Poll::Ready(Ok(())) if !this.exchange.is_live() => match this.poll_reading(cx) {
                Poll::Ready(error) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Ready(Ok(())),
            },
            flushed => flushed,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
