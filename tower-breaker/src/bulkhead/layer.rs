use std::fmt;

use tower_layer::Layer;

#[cfg(feature = "http")]
use crate::mode::Respond;
use crate::{
    classify::EveryError,
    mode::{Boxed, Typed},
};

use super::{BackPressureLayer, Bulkhead, BulkheadService, Place, PlacingLayer};

/// What a full bulkhead does with a call: refuse it at once. The default; asks nothing of the inner service.
#[derive(Debug, Clone, Copy, Default)]
pub struct Refuse;

/// What a full bulkhead does with a call: let it wait in the queue, if there is room. The inner service must be `Clone`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wait;

/// Puts a [`Bulkhead`] in front of a service.
///
/// Every service made from the layer, and every clone of such a service, shares the one bulkhead.
///
/// `M` is the form refusals take ([`mode`](crate::mode)); `W` says what a full bulkhead does ([`Refuse`] or [`Wait`]); `C` says
/// what a result means for a limit that finds itself ([`classify`](Self::classify)).
#[derive(Clone)]
pub struct BulkheadLayer<M = Boxed, W = Refuse, C = EveryError> {
    bulkhead: Bulkhead,
    pub(super) mode: M,
    when_full: W,
    classify: C,
}

impl BulkheadLayer {
    /// A layer that refuses calls when the bulkhead is full, without waiting: it makes **no use of the bulkhead's queue**.
    /// Add [`waiting`](Self::waiting) for that.
    ///
    /// A refused call makes no use of the inner service. But if that was asked for readiness before, while a permit was free,
    /// then the refused caller's service keeps what it got for that: its readiness, or its place in the queue for it. See
    /// [what a refused caller keeps](BulkheadService#what-a-refused-caller-keeps-of-the-inner-service).
    pub fn new(bulkhead: Bulkhead) -> Self {
        Self {
            bulkhead,
            mode: Boxed,
            when_full: Refuse,
            classify: EveryError,
        }
    }
}

impl<M, W, C> BulkheadLayer<M, W, C> {
    /// Lets calls wait in the bulkhead's queue when it is full. The inner service must be `Clone`.
    ///
    /// With a `max_queue` of 0 no call waits, but two things differ from a layer that only refuses: a call is admitted when
    /// a permit has come free since `poll_ready` found none, and a refused caller keeps nothing of the inner service.
    ///
    /// A call waits in its own future, holding the request and a fresh clone of the inner service that has not been polled
    /// for readiness, so nothing the inner service counts or reserves is held. Once the permit has come, the clone is made
    /// ready and called, and the permit covers both. While permits are free no call clones anything.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_breaker::{BoxError, Bulkhead, BulkheadLayer};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// let bulkhead = Bulkhead::builder("inventory")
    ///     .max_concurrent(1)
    ///     .max_queue(10)
    ///     .max_wait(Duration::from_millis(100))
    ///     .build()?;
    /// let inventory = ServiceBuilder::new()
    ///     .layer(BulkheadLayer::new(bulkhead.clone()).waiting())
    ///     .service(service_fn(async |item: u32| Ok::<_, BoxError>(item * 2)));
    ///
    /// let busy = bulkhead.try_acquire()?;
    /// let call = tokio::spawn(inventory.oneshot(21));
    /// tokio::task::yield_now().await;
    /// assert_eq!(bulkhead.snapshot().queued, 1);
    ///
    /// drop(busy);
    /// assert_eq!(call.await??, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn waiting(self) -> BulkheadLayer<M, Wait, C> {
        BulkheadLayer {
            bulkhead: self.bulkhead,
            mode: self.mode,
            when_full: Wait,
            classify: self.classify,
        }
    }

    /// Puts each call where it belongs: `place_by` looks at the request and says in which partition, and how important, it is. Set
    /// everything else first.
    ///
    /// Where whole services or routes belong to one place, a layer of their own over [`Bulkhead::partition`] or
    /// [`Bulkhead::with_priority`] does the same and knows the place already when it is asked for readiness.
    ///
    /// ```
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_breaker::{BoxError, Bulkhead, BulkheadLayer, bulkhead::{Partition, Priority}};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// let bulkhead = Bulkhead::builder("stock")
    ///     .max_concurrent(10)
    ///     .partition(Partition::new("batch").at_most(0.3))
    ///     .build()?;
    /// let live = bulkhead.with_priority(Priority::High).place();
    /// let batch = bulkhead.partition("batch").unwrap().place();
    ///
    /// let stock = ServiceBuilder::new()
    ///     .layer(BulkheadLayer::new(bulkhead.clone()).place_by(move |item: &u32| {
    ///         if *item < 1000 { live } else { batch }
    ///     }))
    ///     .service(service_fn(async |item: u32| Ok::<_, BoxError>(item * 2)));
    /// stock.clone().oneshot(7).await?;
    /// stock.oneshot(2000).await?;
    /// assert_eq!(bulkhead.snapshot().partitions[0].admitted, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn place_by<Req, F>(self, place_by: F) -> PlacingLayer<Self, F>
    where
        F: Fn(&Req) -> Place + Clone,
    {
        PlacingLayer::new(self, place_by)
    }

    /// Makes services that are not ready while the bulkhead is full, instead of ready to refuse or to let a call wait. Set everything
    /// else first.
    ///
    /// For what is in front of it that can use the time: a balancer, which goes elsewhere, or a buffer. **A ready service holds no
    /// permit**, and so readiness is no promise; what exactly holds, and under which of tower's middlewares, says
    /// [`BackPressureService`](super::BackPressureService#what-is-guaranteed).
    ///
    /// ```
    /// use tower::{Service, ServiceBuilder, service_fn};
    /// use tower_breaker::{BoxError, Bulkhead, BulkheadLayer};
    ///
    /// # fn main() -> Result<(), BoxError> {
    /// let bulkhead = Bulkhead::builder("stock").max_concurrent(1).build()?;
    /// let mut stock = ServiceBuilder::new()
    ///     .layer(BulkheadLayer::new(bulkhead.clone()).back_pressure())
    ///     .service(service_fn(async |item: u32| Ok::<_, BoxError>(item * 2)));
    ///
    /// let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// let busy = bulkhead.try_acquire()?;
    /// assert!(Service::<u32>::poll_ready(&mut stock, &mut cx).is_pending());
    /// drop(busy);
    /// assert!(Service::<u32>::poll_ready(&mut stock, &mut cx).is_ready());
    /// # Ok(())
    /// # }
    /// ```
    pub fn back_pressure(self) -> BackPressureLayer<Self> {
        BackPressureLayer::new(self)
    }

    /// Makes the error type [`Error<E>`](crate::Error), so that the inner error keeps its type.
    pub fn typed(self) -> BulkheadLayer<Typed, W, C> {
        self.mode(Typed)
    }

    /// Answers refused calls with a `503` response, so that the error type stays the inner one.
    #[cfg(feature = "http")]
    pub fn respond(self) -> BulkheadLayer<Respond, W, C> {
        self.mode(Respond)
    }

    /// Gives refusals a form of your own.
    pub fn mode<N>(self, mode: N) -> BulkheadLayer<N, W, C> {
        BulkheadLayer {
            bulkhead: self.bulkhead,
            mode,
            when_full: self.when_full,
            classify: self.classify,
        }
    }

    /// Says what the results of calls mean for a limit that finds itself ([`adaptive`](super::BulkheadBuilder::adaptive)): a
    /// success gives its latency, a failure is a drop, an ignored result nothing. Use [`Overload`](crate::classify::Overload),
    /// over HTTP `HttpOverload`.
    ///
    /// Without it every error is a drop, since errors of any type must be judged: safe, but a burst of harmless errors lowers the
    /// limit.
    ///
    /// A call whose future is dropped before its end, and one that panics, says nothing. So a time-out further *out* is not seen:
    /// put it further in. A fixed limit makes no use of verdicts.
    pub fn classify<D>(self, classify: D) -> BulkheadLayer<M, W, D> {
        BulkheadLayer {
            bulkhead: self.bulkhead,
            mode: self.mode,
            when_full: self.when_full,
            classify,
        }
    }
}

impl<S, M: Clone, W: Clone, C: Clone> Layer<S> for BulkheadLayer<M, W, C> {
    type Service = BulkheadService<S, M, W, C>;

    fn layer(&self, inner: S) -> Self::Service {
        BulkheadService::new(
            inner,
            self.bulkhead.clone(),
            self.mode.clone(),
            self.when_full.clone(),
            self.classify.clone(),
        )
    }
}

impl<M, W, C> fmt::Debug for BulkheadLayer<M, W, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadLayer")
            .field("bulkhead", &self.bulkhead)
            .finish_non_exhaustive()
    }
}
