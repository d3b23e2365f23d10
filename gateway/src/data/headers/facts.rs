//! What the gateway knows of one client connection.

use std::{cell::RefCell, fmt::Write, net::IpAddr};

use bytes::Bytes;
use http::HeaderValue;

/// What is the same for every request of a connection, and what was so for the last one. Made by
/// [`ForwardingPolicy::connection`](super::ForwardingPolicy::connection).
#[derive(Debug)]
pub struct ConnectionFacts {
    pub(super) is_trusted: bool,
    /// For `X-Forwarded-For`; unknown for a listener whose clients have no address (a Unix socket).
    pub(super) peer: Option<HeaderValue>,
    pub(super) proto: HeaderValue,
    /// `for=192.0.2.7`
    forwarded_for: String,
    /// The whole element, for the host that was asked for last: most connections ask for one.
    forwarded: RefCell<Option<Element>>,
}

#[derive(Debug)]
struct Element {
    host: Option<Box<[u8]>>,
    value: HeaderValue,
}

impl ConnectionFacts {
    pub(super) fn new(peer: Option<IpAddr>, is_https: bool, is_trusted: bool) -> Self {
        let peer = peer.map(|peer| peer.to_canonical());
        let forwarded_for = match peer {
            Some(IpAddr::V4(peer)) => format!("for={peer}"),
            Some(IpAddr::V6(peer)) => format!("for=\"[{peer}]\""),
            None => "for=unknown".to_owned(),
        };
        Self {
            is_trusted,
            peer: peer.and_then(|peer| own(peer.to_string())),
            proto: HeaderValue::from_static(if is_https { "https" } else { "http" }),
            forwarded_for,
            forwarded: RefCell::default(),
        }
    }

    /// Whether the client is in a trusted network.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// RFC 7239's element for a request that asked for `host`.
    pub(super) fn forwarded(&self, host: Option<&HeaderValue>) -> Option<HeaderValue> {
        let host = host.map(HeaderValue::as_bytes);
        if let Some(last) = &*self.forwarded.borrow()
            && last.host.as_deref() == host
        {
            return Some(last.value.clone());
        }
        let value = self.element(host)?;
        // Copied, because what a request brought keeps the whole buffer that it was read into.
        *self.forwarded.borrow_mut() = Some(Element {
            host: host.map(Box::from),
            value: value.clone(),
        });
        Some(value)
    }

    #[cold]
    fn element(&self, host: Option<&[u8]>) -> Option<HeaderValue> {
        let mut element = self.forwarded_for.clone();
        if let Some(host) = host.and_then(|host| std::str::from_utf8(host).ok()) {
            // Quoted always: a port's colon is not allowed in a bare token. A host that was let in holds no quote and no backslash.
            let _ = write!(element, ";host=\"{host}\"");
        }
        let _ = write!(element, ";proto={}", self.proto.to_str().ok()?);
        own(element)
    }
}

/// Exactly as large as its text, and ready to be shared.
fn own(text: String) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text.into_boxed_str().into_boxed_bytes())).ok()
}
