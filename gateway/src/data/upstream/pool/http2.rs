//! Connections that carry many requests at a time.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http2::{self, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::{Http1Pool, Lease, greeted::Greeted};
use crate::{
    config::model::{Limits, Pool},
    data::{
        body::Outgoing,
        tls::Stream,
        upstream::connect::{ConnectError, Dial},
        worker::LocalExecutor,
    },
};

/// The shared connections: one, and another only while all streams of those that are there are in use.
///
/// How many streams a connection may have is the endpoint's to say, and may change: a connection is used once it has said so.
#[derive(Debug)]
pub struct Http2Pool {
    dial: Dial,
    settings: Pool,
    handshake: http2::Builder<LocalExecutor>,
    shared: RefCell<Vec<Rc<Connection>>>,
    // Those that wait for the connection that is being made.
    waiting: RefCell<Option<Vec<Waiting>>>,
    // Where connections go whose other side would not speak HTTP/2 after all.
    http1: Rc<Http1Pool>,
    // The last handshake ended so: the next connection is not worth waiting for, because nobody can share it.
    is_http1: Cell<bool>,
    opened: Cell<u64>,
}

type Waiting = oneshot::Sender<Result<(), Arc<ConnectError>>>;

#[derive(Debug)]
struct Connection {
    sender: RefCell<SendRequest<Outgoing>>,
    in_use: Cell<usize>,
    streams: Rc<Cell<usize>>,
    carried: Cell<bool>,
    idle_since: Cell<Instant>,
}

/// Without TLS there is no other way to find out than to try.
fn speaks_http2(stream: &Stream) -> bool {
    match stream {
        Stream::Plain(_) => true,
        Stream::Tls(_) => stream.agreed_on_http2(),
    }
}

/// All streams together may have so many times as much in flight as one: a reader that is slow must not hold up the others, whose
/// connection is the same.
const CONNECTION_WINDOW: u32 = 16;
/// What RFC 9113 allows.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

impl Http2Pool {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(dial: Dial, settings: Pool, limits: &Limits, http1: Rc<Http1Pool>) -> Self {
        let window = limits.http2.window;
        let mut handshake = http2::Builder::new(LocalExecutor);
        handshake
            .initial_stream_window_size(window)
            .initial_connection_window_size(
                window.saturating_mul(CONNECTION_WINDOW).min(LARGEST_WINDOW),
            )
            .max_header_list_size(limits.http2.header_list);
        Self {
            dial,
            settings,
            handshake,
            shared: RefCell::default(),
            waiting: RefCell::default(),
            http1,
            is_http1: Cell::new(false),
            opened: Cell::new(0),
        }
    }

    /// A stream of a connection that has one to spare.
    #[must_use]
    pub fn checkout(&self) -> Option<Http2Lease> {
        let mut shared = self.shared.borrow_mut();
        // One that is told to go away notices it no later than at its next request, and gives that back.
        shared.retain(|connection| !connection.sender.borrow().is_closed());
        shared
            .iter()
            .find(|connection| connection.in_use.get() < connection.streams.get().max(1))
            .map(Http2Lease::new)
    }

    /// A stream of a new connection. However many ask at once, one is made, by a task of its own, so that who asked first may go away.
    ///
    /// # Errors
    /// The endpoint could not be reached in time.
    pub async fn connect(self: &Rc<Self>) -> Result<Lease, ConnectError> {
        loop {
            if self.is_http1.get() {
                let stream = self.dial.connect().await?;
                if !speaks_http2(&stream) {
                    return self.http1.speak(stream).await.map(Lease::Http1);
                }
                self.share(stream).await?;
            } else {
                self.made().await?;
            }
            if let Some(lease) = self.checkout() {
                return Ok(Lease::Http2(lease));
            }
            if let Some(lease) = self.http1.checkout() {
                return Ok(Lease::Http1(lease));
            }
            if self.shared.borrow().is_empty() && !self.is_http1.get() {
                let error = std::io::ErrorKind::ConnectionReset.into();
                return Err(ConnectError::Failed(error));
            }
            // The others were faster, and have used it up.
        }
    }

    async fn made(self: &Rc<Self>) -> Result<(), ConnectError> {
        let (sender, receiver) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting.borrow_mut();
            let is_first = waiting.is_none();
            waiting.get_or_insert_default().push(sender);
            is_first
        };
        if is_first {
            let pool = self.clone();
            tokio::task::spawn_local(async move {
                let made = pool.make().await.map_err(Arc::new);
                for waiting in pool.waiting.take().unwrap_or_default() {
                    let _ = waiting.send(made.clone());
                }
            });
        }
        match receiver.await {
            Ok(made) => Ok(made?),
            // The task has panicked, or its runtime is ending.
            Err(_) => {
                self.waiting.take();
                let error = std::io::ErrorKind::ConnectionAborted.into();
                Err(ConnectError::Failed(error))
            }
        }
    }

    async fn make(&self) -> Result<(), ConnectError> {
        let stream = self.dial.connect().await?;
        if !speaks_http2(&stream) {
            self.is_http1.set(true);
            self.http1.speak(stream).await?.give_back();
            return Ok(());
        }
        self.share(stream).await
    }

    async fn share(&self, stream: Stream) -> Result<(), ConnectError> {
        self.is_http1.set(false);
        let (stream, greeting) = Greeted::new(stream);
        let (sender, connection) = self
            .handshake
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Handshake)?;
        // Before that nobody knows how many streams there may be; and what does not speak HTTP/2 is found out before a request is sent.
        tokio::time::timeout(self.dial.limit, greeting)
            .await
            .map_err(|_| ConnectError::TimedOut(self.dial.limit))?
            .map_err(|_| ConnectError::Failed(std::io::ErrorKind::ConnectionReset.into()))?;
        let streams = Rc::new(Cell::new(connection.current_max_send_streams()));
        let seen = streams.clone();
        tokio::task::spawn_local(async move {
            let mut connection = pin!(connection);
            let ended = poll_fn(|cx| {
                let polled = connection.as_mut().poll(cx);
                if polled.is_pending() {
                    seen.set(connection.current_max_send_streams());
                }
                polled
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, "an HTTP/2 connection to an upstream ended early");
            }
        });
        self.opened.set(self.opened.get() + 1);
        self.shared.borrow_mut().push(Rc::new(Connection {
            sender: RefCell::new(sender),
            in_use: Cell::new(0),
            streams,
            carried: Cell::new(false),
            idle_since: Cell::new(Instant::now()),
        }));
        Ok(())
    }

    /// Closes connections that nobody has needed for too long, or that the other side has closed.
    pub fn sweep(&self, now: Instant) {
        let oldest = self.settings.idle;
        self.shared.borrow_mut().retain(|connection| {
            let is_idle = connection.in_use.get() == 0
                && now.saturating_duration_since(connection.idle_since.get()) >= oldest;
            !is_idle && !connection.sender.borrow().is_closed()
        });
    }

    /// Connections made so far.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.get()
    }
}

/// One stream of a connection. Dropped, it is over, and the connection goes on.
#[derive(Debug)]
pub struct Http2Lease {
    connection: Rc<Connection>,
    reused: bool,
}

impl Http2Lease {
    fn new(connection: &Rc<Connection>) -> Self {
        connection.in_use.set(connection.in_use.get() + 1);
        Self {
            connection: connection.clone(),
            reused: connection.carried.replace(true),
        }
    }

    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    /// A future that is dropped resets the stream.
    pub(super) fn send(
        &self,
        request: Request<Outgoing>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Outgoing>>>> + use<>
    {
        self.connection
            .sender
            .borrow_mut()
            .try_send_request(request)
    }
}

impl Drop for Http2Lease {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.in_use.set(connection.in_use.get() - 1);
        if connection.in_use.get() == 0 {
            connection.idle_since.set(Instant::now());
        }
    }
}
