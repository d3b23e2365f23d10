//! The layer.

use std::{fmt, time::Duration};

use tower_layer::Layer;

use super::{EndOfBodyService, NoStallLimit, StallAfter};
use crate::{
    bulkhead::{BackPressureLayer, BulkheadLayer, BulkheadService, Place, PlacingLayer, Refuse},
    classify::EveryError,
    mode::{Boxed, Typed},
};

/// As [`BulkheadLayer`], for HTTP and gRPC services, but a call keeps its permit until the body of its response has ended. Made by
/// [`BulkheadLayer::until_end_of_body`].
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Full};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_breaker::{BoxError, Bulkhead, BulkheadLayer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let bulkhead = Bulkhead::builder("files").max_concurrent(1).build()?;
/// let files = ServiceBuilder::new()
///     .layer(BulkheadLayer::new(bulkhead.clone()).until_end_of_body())
///     .service(service_fn(async |_: Request<()>| {
///         Ok::<_, BoxError>(Response::new(Full::new(Bytes::from("a large file")))) // your client
///     }));
///
/// let response = files.clone().oneshot(Request::new(())).await?;
/// assert!(files.clone().oneshot(Request::new(())).await.is_err(), "one is being read");
/// let file = response.into_body().collect().await?.to_bytes();
/// assert_eq!(file, "a large file");
/// assert!(files.oneshot(Request::new(())).await.is_ok());
/// # Ok(())
/// # }
/// ```
pub struct EndOfBodyLayer<M = Boxed, W = Refuse, C = EveryError, L = NoStallLimit> {
    // Refusals come out of it as they are, and this layer gives them their form.
    layer: BulkheadLayer<Typed, W, C>,
    mode: M,
    limit: L,
}

impl<M, W, C> BulkheadLayer<M, W, C> {
    /// Keeps a call's permit until the body of its response has ended, not only until its head is there. The service's
    /// responses carry a [`PermitBody`](super::PermitBody). When exactly the permit is given back is said [there](super).
    ///
    /// Set the mode, the [classifier](Self::classify) and [`waiting`](Self::waiting) before this, [`place_by`](EndOfBodyLayer::place_by) and
    /// [`back_pressure`](EndOfBodyLayer::back_pressure) after it.
    pub fn until_end_of_body(self) -> EndOfBodyLayer<M, W, C>
    where
        M: Clone,
    {
        EndOfBodyLayer {
            mode: self.mode.clone(),
            layer: self.typed(),
            limit: NoStallLimit,
        }
    }
}

impl<M, W, C, L> EndOfBodyLayer<M, W, C, L> {
    /// Gives a body up, and its permit back, if the service behind gives no frame of it for so long while the reader waits for
    /// one. The body then fails with [`BodyError::Stalled`](super::BodyError::Stalled).
    ///
    /// Only the reader's waiting counts: the time begins anew with every frame, runs only while there is none to be had, and
    /// does not depend on how slowly the reader takes them. A reader that was told to come back and stayed away (for a quarter
    /// of the limit) is not held against the body: the time begins anew when it asks again.
    ///
    /// One such limit in a stack is enough, and it belongs to the breaker, if there is one inside of this: what ends the body
    /// there ends it here too.
    ///
    /// By default there is no limit, and no timer. At most 30 days; more are taken as that. Needs tokio's timer, and its
    /// wake-ups come in steps of a millisecond.
    pub fn stall_after(self, limit: Duration) -> EndOfBodyLayer<M, W, C, StallAfter> {
        EndOfBodyLayer {
            layer: self.layer,
            mode: self.mode,
            limit: StallAfter::new(limit),
        }
    }

    /// Puts each call where it belongs, as [`BulkheadLayer::place_by`] does. Set everything else first, but back-pressure.
    pub fn place_by<Req, F>(self, place_by: F) -> PlacingLayer<Self, F>
    where
        F: Fn(&Req) -> Place + Clone,
    {
        PlacingLayer::new(self, place_by)
    }

    /// Makes services that are not ready while the bulkhead is full, as [`BulkheadLayer::back_pressure`] does. Set everything else
    /// first.
    pub fn back_pressure(self) -> BackPressureLayer<Self> {
        BackPressureLayer::new(self)
    }
}

impl<S, M: Clone, W, C, L: Copy> Layer<S> for EndOfBodyLayer<M, W, C, L>
where
    BulkheadLayer<Typed, W, C>: Layer<S, Service = BulkheadService<S, Typed, W, C>>,
{
    type Service = EndOfBodyService<S, M, W, C, L>;

    fn layer(&self, inner: S) -> Self::Service {
        EndOfBodyService::new(self.layer.layer(inner), self.mode.clone(), self.limit)
    }
}

impl<M: Clone, W: Clone, C: Clone, L: Copy> Clone for EndOfBodyLayer<M, W, C, L> {
    fn clone(&self) -> Self {
        Self {
            layer: self.layer.clone(),
            mode: self.mode.clone(),
            limit: self.limit,
        }
    }
}

impl<M, W, C, L: fmt::Debug> fmt::Debug for EndOfBodyLayer<M, W, C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndOfBodyLayer")
            .field("layer", &self.layer)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
