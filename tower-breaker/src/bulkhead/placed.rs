//! A place for each call.

use std::{
    fmt,
    task::{Context, Poll},
};

use tower_layer::Layer;
use tower_service::Service;

use super::{BackPressureLayer, Place, guarded::Guarded};

/// A [`BulkheadLayer`](super::BulkheadLayer) that puts each call where it belongs; made by
/// [`BulkheadLayer::place_by`](super::BulkheadLayer::place_by).
#[derive(Clone)]
pub struct PlacingLayer<L, F> {
    layer: L,
    place_by: F,
}

impl<L, F> PlacingLayer<L, F> {
    pub(super) fn new(layer: L, place_by: F) -> Self {
        Self { layer, place_by }
    }

    /// As [`BulkheadLayer::back_pressure`](super::BulkheadLayer::back_pressure). Ready when a call could be admitted at any place.
    pub fn back_pressure(self) -> BackPressureLayer<Self> {
        BackPressureLayer::new(self)
    }
}

impl<S, L, F> Layer<S> for PlacingLayer<L, F>
where
    L: Layer<S>,
    L::Service: Guarded,
    F: Clone,
{
    type Service = PlacingService<L::Service, F>;

    fn layer(&self, inner: S) -> Self::Service {
        let mut inner = self.layer.layer(inner);
        inner.handle().set_place(Place::UNDECIDED);
        PlacingService {
            inner,
            place_by: self.place_by.clone(),
        }
    }
}

impl<L: fmt::Debug, F> fmt::Debug for PlacingLayer<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PlacingLayer").field(&self.layer).finish()
    }
}

/// A service behind a bulkhead in which each call has a place of its own; made by a [`PlacingLayer`].
///
/// It is ready to refuse, or to let a call wait, only when there is no permit at any place: before there is a request, nobody knows
/// where it belongs. So the inner service may be asked for readiness, and the call refused all the same.
#[derive(Clone)]
pub struct PlacingService<T, F> {
    // Its handle is at an undecided place but while it is called.
    inner: T,
    place_by: F,
}

impl<T: Guarded, F> Guarded for PlacingService<T, F> {
    fn handle(&mut self) -> &mut super::Bulkhead {
        self.inner.handle()
    }

    fn is_ready_to_refuse(&self) -> bool {
        self.inner.is_ready_to_refuse()
    }
}

// Also when the inner service panics.
struct Undecided<'a, T: Guarded>(&'a mut T);

impl<T: Guarded> Drop for Undecided<'_, T> {
    fn drop(&mut self) {
        self.0.handle().set_place(Place::UNDECIDED);
    }
}

impl<T, F, Req> Service<Req> for PlacingService<T, F>
where
    T: Service<Req> + Guarded,
    F: Fn(&Req) -> Place,
{
    type Response = T::Response;
    type Error = T::Error;
    type Future = T::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Req) -> T::Future {
        let place = (self.place_by)(&request);
        self.inner.handle().set_place(place);
        let decided = Undecided(&mut self.inner);
        decided.0.call(request)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for PlacingService<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PlacingService").field(&self.inner).finish()
    }
}
