//! A body that carries something to its end.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{Asked, Length, StallLimit};

/// What a body that may fail with `E` carries to its end. Dropped, it was dropped with the body, before the end.
// It is told of its end where it is: it may be a few words wide, and they have only just been written. None of it is left
// afterwards.
pub(crate) trait Carried<E>: Sized {
    /// Whether trailers may matter. If not, a body whose length was announced is at its end when that much has come.
    fn reads_trailers(&self) -> bool;

    /// The body ended, with trailers or without, or failed.
    fn ended(carried: &mut Option<Self>, end: Result<Option<&HeaderMap>, &E>);

    /// The body was given up.
    fn stalled(carried: &mut Option<Self>);

    /// The body panicked.
    fn panicked(carried: &mut Option<Self>);

    /// The reader asked, and there is nothing yet.
    #[inline]
    fn reader_waits(&mut self) {}

    /// The reader has got something.
    #[inline]
    fn reader_has_got(&mut self) {}
}

pin_project! {
    /// The inner body, unchanged, and what it carries until it ends.
    pub(crate) struct CarryingBody<B, C, L>
    where
        L: StallLimit,
    {
        // Before what it carries: it lets go of all it holds before that is told.
        #[pin]
        inner: B,
        // `None` once it has been told of the end.
        carried: Option<C>,
        // When that much has come, the body is at its end.
        left: u64,
        #[pin]
        timer: L::Timer,
    }
}

// More than can come.
const UNKNOWN: u64 = u64::MAX;

/// How much of a response's body is to come before it is at its end. If that is nothing, it is at its end now, and what was to be carried
/// has been told.
///
/// By reference: a response is wide, and is moved only once all that can be said of it has been.
#[inline]
pub(crate) fn left_of<B, C>(response: &Response<B>, asked: Asked, carried: &mut Option<C>) -> u64
where
    B: Body,
    C: Carried<B::Error>,
{
    let reads_trailers = carried.as_ref().is_some_and(C::reads_trailers);
    let left = match Length::of(response, asked) {
        Length::NoBody => 0,
        Length::Announced(length) if !reads_trailers => length,
        Length::Announced(_) | Length::Unknown => UNKNOWN,
    };
    if left == 0 || watch(carried, || response.body().is_end_stream()) {
        C::ended(carried, Ok(None));
    }
    left
}

impl<B, C, L: StallLimit> CarryingBody<B, C, L> {
    /// A body that carries nothing.
    #[inline]
    pub(crate) fn empty(inner: B, timer: L::Timer) -> Self {
        Self {
            inner,
            carried: None,
            left: UNKNOWN,
            timer,
        }
    }

    /// A body that carries this until `left` bytes have come, or what else ends it.
    #[inline]
    pub(crate) fn new(inner: B, carried: Option<C>, left: u64, timer: L::Timer) -> Self {
        Self {
            inner,
            carried,
            left,
            timer,
        }
    }

    pub(crate) fn get_ref(&self) -> &B {
        &self.inner
    }

    /// Whether it still carries what it was given.
    pub(crate) fn is_carrying(&self) -> bool {
        self.carried.is_some()
    }

    pub(crate) fn timer(&self) -> &L::Timer {
        &self.timer
    }
}

impl<B, C, L> Body for CarryingBody<B, C, L>
where
    B: Body,
    C: Carried<B::Error>,
    L: StallLimit,
{
    type Data = B::Data;
    type Error = L::Error<B::Error>;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let mut this = self.project();
        if L::is_stalled(&this.timer) {
            return Poll::Ready(None);
        }
        let polled = watch(this.carried, || this.inner.as_mut().poll_frame(cx));
        match &polled {
            Poll::Pending => {
                if let Some(carried) = this.carried {
                    carried.reader_waits();
                }
                let err = ready!(L::poll_stalled(this.timer, cx));
                // All that was announced has come. What might have come after it, trailers that nobody promised, is not worth a
                // failure.
                if *this.left == 0 {
                    return Poll::Ready(None);
                }
                C::stalled(this.carried);
                return Poll::Ready(Some(Err(err)));
            }
            Poll::Ready(got) => {
                L::heard(this.timer);
                if this.carried.is_some() {
                    match got {
                        Some(Ok(frame)) => {
                            if let Some(data) = frame.data_ref() {
                                *this.left = this.left.saturating_sub(data.remaining() as u64);
                            }
                            let inner = &this.inner;
                            if let Some(trailers) = frame.trailers_ref() {
                                C::ended(this.carried, Ok(Some(trailers)));
                            } else if *this.left == 0
                                || watch(this.carried, || inner.is_end_stream())
                            {
                                C::ended(this.carried, Ok(None));
                            } else if let Some(carried) = this.carried {
                                carried.reader_has_got();
                            }
                        }
                        Some(Err(err)) => C::ended(this.carried, Err(err)),
                        None => C::ended(this.carried, Ok(None)),
                    }
                }
            }
        }
        L::inner_polled(polled)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        L::is_stalled(&self.timer) || self.inner.is_end_stream()
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Runs code of the inner body. If it panics, what is carried is told before the panic goes on.
#[inline]
fn watch<E, C: Carried<E>, T>(carried: &mut Option<C>, run: impl FnOnce() -> T) -> T {
    struct Panicked<'a, C>(&'a mut Option<C>, fn(&mut Option<C>));
    impl<C> Drop for Panicked<'_, C> {
        fn drop(&mut self) {
            self.1(self.0);
        }
    }
    let watch = Panicked(carried, C::panicked);
    let value = run();
    mem::forget(watch);
    value
}

impl<B: fmt::Debug, C, L: StallLimit> fmt::Debug for CarryingBody<B, C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarryingBody")
            .field("inner", &self.inner)
            .field("carrying", &self.is_carrying())
            .field("timer", &self.timer)
            .finish_non_exhaustive()
    }
}
