//! Connections that carry one request at a time.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::Instant,
};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::lease::Http1Lease;
use crate::{
    config::model::{Limits, Pool},
    data::{
        body::Outgoing,
        tls::Stream,
        upstream::connect::{ConnectError, Dial},
    },
};

/// The free connections, and how to make another.
#[derive(Debug)]
pub struct Http1Pool {
    dial: Dial,
    settings: Pool,
    handshake: http1::Builder,
    // The one used last is at the back.
    idle: RefCell<VecDeque<Idle>>,
    opened: Cell<u64>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Outgoing>,
    since: Instant,
}

impl Http1Pool {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(dial: Dial, settings: Pool, limits: &Limits) -> Self {
        let mut handshake = http1::Builder::new();
        handshake.max_buf_size(limits.header_bytes.max(SMALLEST_BUFFER));
        // hyper keeps as many on the stack as it takes by itself; told so, it would have to fill the place for them first.
        if limits.headers != USUAL_HEADERS {
            handshake.max_headers(limits.headers);
        }
        Self {
            dial,
            settings,
            handshake,
            idle: RefCell::default(),
            opened: Cell::new(0),
        }
    }

    /// A free connection that can take a request now, if there is one.
    #[must_use]
    pub fn checkout(self: &Rc<Self>) -> Option<Http1Lease> {
        let mut idle = self.idle.borrow_mut();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            let sender = &idle[at].sender;
            if sender.is_ready() {
                let found = idle.remove(at)?;
                return Some(Http1Lease::new(found.sender, self.clone(), true));
            }
            // One that is neither has its answer's end still to notice, and is ready in a moment.
            if sender.is_closed() {
                idle.remove(at);
            }
        }
        None
    }

    /// A new connection.
    ///
    /// # Errors
    /// The endpoint could not be reached in time.
    pub async fn connect(self: &Rc<Self>) -> Result<Http1Lease, ConnectError> {
        let stream = self.dial.connect().await?;
        self.speak(stream).await
    }

    /// A connection that has been opened already.
    ///
    /// # Errors
    /// Never for now: HTTP/1.1 has no handshake.
    pub(super) async fn speak(self: &Rc<Self>, stream: Stream) -> Result<Http1Lease, ConnectError> {
        let (sender, connection) = self
            .handshake
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Handshake)?;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to an upstream ended early");
            }
        });
        self.opened.set(self.opened.get() + 1);
        Ok(Http1Lease::new(sender, self.clone(), false))
    }

    pub(super) fn put(&self, sender: SendRequest<Outgoing>) {
        if sender.is_closed() || self.settings.max_idle == 0 || self.settings.idle.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= self.settings.max_idle {
            idle.pop_front();
        }
        idle.push_back(Idle { sender, since: now });
    }

    /// Closes connections that nobody has needed for too long, or that the other side has closed.
    pub fn sweep(&self, now: Instant) {
        let oldest = self.settings.idle;
        self.idle.borrow_mut().retain(|idle| {
            !idle.sender.is_closed() && now.saturating_duration_since(idle.since) < oldest
        });
    }

    /// Connections made so far.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.get()
    }
}

/// What hyper takes by itself.
pub const USUAL_HEADERS: usize = 100;

/// hyper refuses less.
const SMALLEST_BUFFER: usize = 8192;
