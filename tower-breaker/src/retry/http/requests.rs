use std::{fmt, sync::Arc};

use http::{HeaderMap, Method, Request, Uri};
use http_body::Body;

use crate::retry::Replay;

/// Makes the copy of a body, if it can be sent twice. Any `Fn(&B) -> Option<B>` is one.
pub trait CopyBody<B> {
    /// The copy. `None` if there can be none, such as of a body that streams.
    fn copy(&self, body: &B) -> Option<B>;
}

impl<F, B> CopyBody<B> for F
where
    F: Fn(&B) -> Option<B>,
{
    fn copy(&self, body: &B) -> Option<B> {
        self(body)
    }
}

/// Clones the body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cloned;

impl<B: Clone> CopyBody<B> for Cloned {
    fn copy(&self, body: &B) -> Option<B> {
        Some(body.clone())
    }
}

/// Copies a body only if there is nothing in it, as in most requests that may be sent twice. For body types that stream,
/// such as axum's and hyper's boxed ones.
pub fn only_empty<B: Body + Default>(body: &B) -> Option<B> {
    body.is_end_stream().then(B::default)
}

/// A copy of a request, extensions included, with this as its body.
pub fn copy_request<B>(request: &Request<B>, body: B) -> Request<B> {
    let mut copy = Request::new(body);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy.extensions_mut().clone_from(request.extensions());
    copy
}

type Allow = Arc<dyn Fn(&Method, &Uri, &HeaderMap) -> bool + Send + Sync>;

/// Sends a request again if doing so does no harm, and if there can be a copy of its body.
///
/// It does no harm if
///
/// * the method is idempotent by [RFC 9110, section 9.2.2](https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2): `GET`, `HEAD`, `OPTIONS`,
///   `TRACE`, `PUT` or `DELETE`,
/// * there is an `Idempotency-Key` header: then the server promises to do once what it gets twice,
/// * or you [allow](Self::allow) it.
///
/// ```
/// use tower_breaker::retry::{HttpRequests, Replay, only_empty};
///
/// let replay = HttpRequests::bodies(only_empty::<axum::body::Body>);
/// let get = http::Request::get("/stock/7").body(axum::body::Body::empty())?;
/// assert!(replay.replay(&get).is_some());
/// let order = http::Request::post("/orders").body(axum::body::Body::empty())?;
/// assert!(replay.replay(&order).is_none());
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone)]
pub struct HttpRequests<F = Cloned> {
    body: F,
    allow: Option<Allow>,
}

impl HttpRequests {
    /// For bodies that can be cloned.
    pub fn new() -> Self {
        Self::bodies(Cloned)
    }
}

impl Default for HttpRequests {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> HttpRequests<F> {
    /// With bodies copied by `copy`, a [`CopyBody`], such as [`only_empty`].
    pub fn bodies(copy: F) -> Self {
        Self {
            body: copy,
            allow: None,
        }
    }

    /// Sends requests again that this allows, beside those that say themselves that it does no harm. For instance queries that
    /// are sent as `POST`.
    pub fn allow(
        mut self,
        which: impl Fn(&Method, &Uri, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.allow = Some(Arc::new(which));
        self
    }

    fn does_no_harm<B>(&self, request: &Request<B>) -> bool {
        let (method, headers) = (request.method(), request.headers());
        method.is_idempotent()
            || headers.contains_key("idempotency-key")
            || self
                .allow
                .as_ref()
                .is_some_and(|allow| allow(method, request.uri(), headers))
    }
}

impl<F: CopyBody<B>, B> Replay<Request<B>> for HttpRequests<F> {
    fn replay(&self, request: &Request<B>) -> Option<Request<B>> {
        if !self.does_no_harm(request) {
            return None;
        }
        let body = self.body.copy(request.body())?;
        Some(copy_request(request, body))
    }
}

impl<F> fmt::Debug for HttpRequests<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequests")
            .field("allows_more", &self.allow.is_some())
            .finish_non_exhaustive()
    }
}
