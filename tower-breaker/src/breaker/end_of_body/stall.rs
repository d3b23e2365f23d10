//! How long a body may be without giving anything.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

use super::{BodyError, Stalled};

/// Whether bodies have a stall limit: [`NoStallLimit`] or [`StallAfter`]. No other type can be one.
pub trait StallLimit: Copy + sealed::Limit {
    /// The error of a body with this limit, when the body inside it fails with `E`.
    type Error<E>;
}

/// No limit, and no timer. Errors are the inner body's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStallLimit;

/// A limit, set by [`stall_after`](super::EndOfBodyLayer::stall_after). Errors are a [`BodyError`].
#[derive(Debug, Clone, Copy)]
pub struct StallAfter {
    limit: Duration,
}

impl StallAfter {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl StallLimit for NoStallLimit {
    type Error<E> = E;
}

impl StallLimit for StallAfter {
    type Error<E> = BodyError<E>;
}

pub(super) mod sealed {
    use super::*;

    pub trait Limit {
        type Timer: Default + fmt::Debug;

        fn timer(self) -> Self::Timer;
        fn inner_error<E>(err: E) -> <Self as StallLimit>::Error<E>
        where
            Self: StallLimit;
        /// The body gave something.
        fn heard(timer: Pin<&mut Self::Timer>);
        /// The body has nothing now. Ready if that has been so for too long.
        fn poll_stalled<E>(
            timer: Pin<&mut Self::Timer>,
            cx: &mut Context<'_>,
        ) -> Poll<<Self as StallLimit>::Error<E>>
        where
            Self: StallLimit;
    }
}

impl sealed::Limit for NoStallLimit {
    type Timer = ();

    fn timer(self) {}

    fn inner_error<E>(err: E) -> E {
        err
    }

    fn heard(_: Pin<&mut ()>) {}

    fn poll_stalled<E>(_: Pin<&mut ()>, _: &mut Context<'_>) -> Poll<E> {
        Poll::Pending
    }
}

// Woken in time, a reader may still come this late, on a machine that is busy.
const GRACE: Duration = Duration::from_millis(20);

pin_project! {
    #[derive(Debug)]
    pub struct Timer {
        limit: Duration,
        // Whether the reader waits, and has since the body last gave something.
        waiting: bool,
        // Made when the reader first waits.
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Default for Timer {
    /// Never.
    fn default() -> Self {
        Self {
            limit: Duration::MAX,
            waiting: false,
            sleep: None,
        }
    }
}

impl Timer {
    fn restart(self: Pin<&mut Self>) {
        let mut this = self.project();
        *this.waiting = true;
        let deadline = Instant::now().checked_add(*this.limit);
        match (this.sleep.as_mut().as_pin_mut(), deadline) {
            (Some(sleep), Some(deadline)) => sleep.reset(deadline),
            _ => this.sleep.set(Some(sleep(*this.limit))),
        }
    }
}

impl sealed::Limit for StallAfter {
    type Timer = Timer;

    fn timer(self) -> Timer {
        Timer {
            limit: self.limit,
            ..Timer::default()
        }
    }

    fn inner_error<E>(err: E) -> BodyError<E> {
        BodyError::Inner(err)
    }

    fn heard(timer: Pin<&mut Timer>) {
        // The timer is left to run: to stop it costs more than to be woken by it once.
        *timer.project().waiting = false;
    }

    fn poll_stalled<E>(mut timer: Pin<&mut Timer>, cx: &mut Context<'_>) -> Poll<BodyError<E>> {
        if !timer.waiting {
            timer.as_mut().restart();
        }
        loop {
            let limit = timer.limit;
            let Some(sleep) = timer.as_mut().project().sleep.as_pin_mut() else {
                return Poll::Pending;
            };
            let deadline = sleep.deadline();
            if sleep.poll(cx).is_pending() {
                return Poll::Pending;
            }
            // The timer woke the reader. If he did not come then, he was busy elsewhere, and what the body did meanwhile may have been
            // waiting for him (a decompressor has to be polled to go on).
            if Instant::now().saturating_duration_since(deadline) <= (limit / 4).max(GRACE) {
                return Poll::Ready(BodyError::Stalled(Stalled::new(limit)));
            }
            timer.as_mut().restart();
        }
    }
}
