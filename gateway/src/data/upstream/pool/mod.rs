//! Connections of one worker to one endpoint.
//!
//! They are hyper's own connections, each driven by a task of the worker. One that carries one request at a time ([`Http1Pool`]) is
//! on a stack while it is free: the one used last is used next, so that those at the bottom grow old and are closed. One that carries
//! many ([`Http2Pool`]) is shared by all. Which of both an endpoint has is known from the configuration, or from the first
//! handshake with it.

mod greeted;
mod http1;
mod http2;
mod lease;

use std::{rc::Rc, time::Instant};

pub use http1::{Http1Pool, USUAL_HEADERS};
pub use http2::Http2Pool;
pub use lease::Lease;

use super::connect::{ConnectError, Dial};
use crate::config::model::{self, Limits};

/// All connections to an endpoint.
#[derive(Debug)]
pub struct Pool {
    http1: Rc<Http1Pool>,
    /// `None` if none of them will ever speak HTTP/2.
    http2: Option<Rc<Http2Pool>>,
}

impl Pool {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(dial: Dial, settings: model::Pool, limits: &Limits) -> Self {
        let may_speak_http2 = dial.may_speak_http2();
        let http1 = Rc::new(Http1Pool::new(dial.clone(), settings, limits));
        let http2 =
            may_speak_http2.then(|| Rc::new(Http2Pool::new(dial, settings, limits, http1.clone())));
        Self { http1, http2 }
    }

    /// A connection that can take a request now, if there is one.
    #[must_use]
    pub fn checkout(&self) -> Option<Lease> {
        if let Some(http2) = &self.http2
            && let Some(lease) = http2.checkout()
        {
            return Some(Lease::Http2(lease));
        }
        self.http1.checkout().map(Lease::Http1)
    }

    /// Another connection: a new one, or one that is being made already and will be shared.
    ///
    /// # Errors
    /// The endpoint could not be reached in time.
    pub async fn connect(&self) -> Result<Lease, ConnectError> {
        match &self.http2 {
            None => self.http1.connect().await.map(Lease::Http1),
            // Boxed, so that requests over HTTP/1.1 do not carry the room for it.
            Some(http2) => Box::pin(http2.connect()).await,
        }
    }

    /// Closes connections that nobody has needed for too long, or that the other side has closed.
    pub fn sweep(&self, now: Instant) {
        self.http1.sweep(now);
        if let Some(http2) = &self.http2 {
            http2.sweep(now);
        }
    }

    /// Connections made so far.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.http1.opened() + self.http2.as_ref().map_or(0, |http2| http2.opened())
    }
}
