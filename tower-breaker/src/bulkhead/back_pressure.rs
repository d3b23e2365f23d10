//! The back-pressure mode: a full bulkhead is not ready.

use std::{
    fmt,
    task::{Context, Poll, ready},
};

use tower_layer::Layer;
use tower_service::Service;

use super::{guarded::Guarded, watchers::Post};

/// A [`BulkheadLayer`](super::BulkheadLayer) whose services are not ready while the bulkhead is full; made by
/// [`BulkheadLayer::back_pressure`](super::BulkheadLayer::back_pressure).
#[derive(Debug, Clone)]
pub struct BackPressureLayer<L> {
    layer: L,
}

impl<L> BackPressureLayer<L> {
    pub(super) fn new(layer: L) -> Self {
        Self { layer }
    }
}

impl<S, L> Layer<S> for BackPressureLayer<L>
where
    L: Layer<S>,
    L::Service: Guarded,
{
    type Service = BackPressureService<L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        BackPressureService {
            inner: self.layer.layer(inner),
            watch: Watch::default(),
        }
    }
}

/// A service that is not ready while its bulkhead is full; made by a [`BackPressureLayer`].
///
/// # What is guaranteed
///
/// * `poll_ready` is pending while no call could be admitted, and the inner service is not asked meanwhile. In a queue nobody waits
///   for it: as long as the bulkhead is full it is not ready, whether or not the queue has room.
/// * When a permit comes free that nobody in the queue takes, and when the limit grows or a dry run begins, **every** service that is
///   pending is woken. So it does no harm that one of those woken is parked, dropped or never calls: nobody has to pass anything on.
///   The price is that all are woken for each permit: this is for some dozens of callers, not for thousands.
/// * A ready service holds no permit, for however long it is not called. The permit is taken in `call`. So that a service was ready is
///   no promise: others may have come first. Then the call is refused, or waits in the bounded queue, as without back-pressure.
///
/// # Under tower's own middlewares
///
/// * `load_shed` sheds the call when this is pending, as one expects. What it gives for that is tower's `Overloaded` and not a
///   [`Refused`](crate::Refused); no permit is lost to a clone that is parked after its `poll_ready`, as with `ConcurrencyLimit`.
/// * `buffer` asks for readiness and then calls in one go, one request after the other, so that with a bulkhead of its own the call is
///   admitted whenever this was ready. What waits, waits in the buffer, whose bound is the buffer's.
/// * `balance` does not use an endpoint that is pending, and uses it again when it is woken. One that it found ready it keeps as ready
///   without a permit, and may call it later when the permit is gone: it asks again before each call, so that this takes
///   another user of the same bulkhead in between.
pub struct BackPressureService<T: Guarded> {
    inner: T,
    watch: Watch,
}

// A post among the watchers; each service has its own.
#[derive(Default)]
struct Watch(Option<Post>);

impl<T: Guarded> BackPressureService<T> {
    /// Stops watching.
    fn unwatch(&mut self) {
        if let Some(post) = self.watch.0.take() {
            self.inner.handle().unwatch(post);
        }
    }
}

impl<T, Req> Service<Req> for BackPressureService<T>
where
    T: Service<Req> + Guarded,
{
    type Response = T::Response;
    type Error = T::Error;
    type Future = T::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        loop {
            if self.inner.handle().is_full() {
                self.inner.handle().watch(&mut self.watch.0, cx.waker());
                // A permit that came back before this could be seen to watch.
                if self.inner.handle().is_full() {
                    return Poll::Pending;
                }
            }
            ready!(self.inner.poll_ready(cx))?;
            if !self.inner.is_ready_to_refuse() {
                return Poll::Ready(Ok(()));
            }
            // It has become full just now.
        }
    }

    #[inline]
    fn call(&mut self, request: Req) -> T::Future {
        self.inner.call(request)
    }
}

impl<T: Guarded + Clone> Clone for BackPressureService<T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            watch: Watch::default(),
        }
    }
}

impl<T: Guarded> Drop for BackPressureService<T> {
    fn drop(&mut self) {
        self.unwatch();
    }
}

impl<T: Guarded + fmt::Debug> fmt::Debug for BackPressureService<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackPressureService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "http", not(breaker_loom)))]
mod tests {
    use std::{convert::Infallible, future::Ready};

    use http::{Request, Response};

    use super::*;
    use crate::{Bulkhead, BulkheadLayer};

    struct Always;

    impl<Req> Service<Req> for Always {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = Ready<Result<Response<String>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Req) -> Self::Future {
            std::future::ready(Ok(Response::default()))
        }
    }

    // What the loop in `poll_ready` relies on when the last permit is taken between its own look and that of the service in it.
    #[allow(clippy::unwrap_used)]
    fn says_whether_it_would_refuse<Req>(mut service: impl Guarded + Service<Req>) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let permit = service.handle().try_acquire().unwrap();
        assert!(service.poll_ready(&mut cx).is_ready());
        assert!(service.is_ready_to_refuse());
        drop(permit);
        assert!(service.poll_ready(&mut cx).is_ready());
        assert!(!service.is_ready_to_refuse());
    }

    #[test]
    fn a_service_knows_whether_it_is_ready_only_to_refuse() {
        let bulkhead = Bulkhead::builder("test").max_concurrent(1).build().unwrap();
        let place = bulkhead.place();
        let layer = BulkheadLayer::new(bulkhead);
        says_whether_it_would_refuse::<u32>(layer.clone().layer(Always));
        let at_the_end = layer.clone().until_end_of_body();
        says_whether_it_would_refuse::<Request<String>>(at_the_end.layer(Always));
        let placed = layer.place_by(move |_: &u32| place);
        says_whether_it_would_refuse(placed.layer(Always));
    }
}
