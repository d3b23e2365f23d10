//! The permit of a call whose connection has become a tunnel.

use std::{fmt, sync::Arc};

use http::Extensions;

use crate::bulkhead::BulkheadPermit;

/// The permit of a call that was answered with an upgrade (`101`, a WebSocket) or a tunnel (a success of a `CONNECT`). It is in
/// the [extensions](http::Response::extensions) of the response.
///
/// What goes through the tunnel is no body, and whoever carries it does so outside of any service. Keep this for as long as the
/// tunnel lasts, and it counts as one call. It is given back when the last clone is dropped: at the head of the response
/// if nobody takes it out, since it goes away with the response.
///
/// ```
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_breaker::{BoxError, Bulkhead, BulkheadLayer, bulkhead::end_of_body::TunnelPermit};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let bulkhead = Bulkhead::builder("chat").max_concurrent(100).build()?;
/// let chat = ServiceBuilder::new()
///     .layer(BulkheadLayer::new(bulkhead.clone()).until_end_of_body())
///     .service(service_fn(async |_: Request<()>| {
///         let switching = Response::builder().status(101);
///         Ok::<_, BoxError>(switching.body(String::new())?) // your client
///     }));
///
/// let mut response = chat.oneshot(Request::new(())).await?;
/// let permit = response.extensions_mut().remove::<TunnelPermit>();
/// // Here the connection is taken over: `hyper::upgrade::on(&mut response)`.
/// drop(response);
/// assert_eq!(bulkhead.snapshot().in_flight, 1);
///
/// drop(permit); // when the tunnel has been closed
/// assert_eq!(bulkhead.snapshot().in_flight, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TunnelPermit {
    held: Arc<Held>,
}

struct Held {
    permit: BulkheadPermit,
    // Of a bulkhead further in.
    inner: Option<TunnelPermit>,
}

impl TunnelPermit {
    /// One permit more that lasts as long as the tunnel.
    #[cold]
    pub(super) fn put_into(extensions: &mut Extensions, permit: BulkheadPermit) {
        let inner = extensions.remove();
        let held = Arc::new(Held { permit, inner });
        extensions.insert(Self { held });
    }
}

impl fmt::Debug for TunnelPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        let mut next = Some(self);
        while let Some(TunnelPermit { held }) = next {
            list.entry(&held.permit);
            next = held.inner.as_ref();
        }
        list.finish()
    }
}
