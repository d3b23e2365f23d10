//! When a guarded service is ready, and what becomes of a call: the part of it that does not depend on what it guards.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
    thread,
};

use super::{CircuitBreaker, machine::Denied, permit::Admission, shared::Outcome};
use crate::Refused;

/// Stands between a service and its circuit.
pub(crate) struct Gate {
    breaker: CircuitBreaker,
    readiness: Readiness,
    back_pressure: bool,
    // Ends when it is worth asking the circuit again. Only with back-pressure, and only while the circuit refuses.
    waiting: Option<Waiting>,
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

#[derive(Debug, Clone, Copy)]
enum Readiness {
    // Not asked since the last call. A caller who calls all the same gets what the inner service makes of that.
    Unknown,
    // The circuit refused, with this state word, and the inner service was not asked.
    Refusing(Denied, u64),
    // The inner service is ready.
    Inner,
}

/// Records a failure when dropped: the inner service failed, or panicked, before there was a call to blame.
struct Unready<'a>(&'a CircuitBreaker);

impl Drop for Unready<'_> {
    fn drop(&mut self) {
        // If the circuit refuses by now, it needs no telling.
        if let Some(mut admission) = Admission::unasked(&self.0.shared) {
            if thread::panicking() {
                admission.panicked();
            } else {
                admission.settle(Outcome::Failure);
            }
        }
    }
}

impl Gate {
    pub(crate) fn new(breaker: CircuitBreaker, back_pressure: bool) -> Self {
        Self {
            breaker,
            readiness: Readiness::Unknown,
            back_pressure,
            waiting: None,
        }
    }

    pub(crate) fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// Readiness, where `inner` asks the service behind.
    #[inline]
    pub(crate) fn poll_ready<E>(
        &mut self,
        cx: &mut Context<'_>,
        inner: impl FnOnce(&mut Context<'_>) -> Poll<Result<(), E>>,
    ) -> Poll<Result<(), E>> {
        if let Some((denied, word)) = self.breaker.shared.denied_at() {
            if self.back_pressure {
                ready!(self.poll_admitting(cx));
            } else {
                if !matches!(self.readiness, Readiness::Inner) {
                    self.readiness = Readiness::Refusing(denied, word);
                }
                return Poll::Ready(Ok(()));
            }
        }
        self.readiness = Readiness::Unknown;
        let unready = Unready(&self.breaker);
        let polled = inner(cx);
        if let Poll::Pending | Poll::Ready(Ok(())) = polled {
            mem::forget(unready);
        }
        if let Poll::Ready(Ok(())) = polled {
            self.readiness = Readiness::Inner;
        }
        polled
    }

    // Ready when the circuit would admit a call.
    #[cold]
    fn poll_admitting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let breaker = &self.breaker;
            let waiting = self
                .waiting
                .get_or_insert_with(|| Box::pin(breaker.clone().until_worth_asking()));
            ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
            if self.breaker.shared.denied().is_none() {
                return Poll::Ready(());
            }
        }
    }

    /// Lets a call pass, or refuses it.
    #[inline(always)]
    pub(crate) fn enter(&mut self) -> Result<Admission, Refused> {
        match self.readiness {
            Readiness::Refusing(denied, word) => {
                self.readiness = Readiness::Unknown;
                Err(self.refuse(denied, word))
            }
            Readiness::Unknown | Readiness::Inner => {
                let admission = Admission::acquire(&self.breaker.shared)?;
                // Only now: refused, the inner service stays ready for the next call.
                self.readiness = Readiness::Unknown;
                Ok(admission)
            }
        }
    }

    #[inline]
    fn refuse(&self, denied: Denied, word: u64) -> Refused {
        let shared = &self.breaker.shared;
        // However long ago it was asked: the caller is told how things are now.
        let denied = if word == shared.word() {
            denied
        } else {
            shared.denied_since(denied, word)
        };
        shared.refuse(denied)
    }
}

impl Clone for Gate {
    fn clone(&self) -> Self {
        // A clone of the inner service is not ready because the original is.
        Self::new(self.breaker.clone(), self.back_pressure)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("breaker", &self.breaker)
            .field("readiness", &self.readiness)
            .field("back_pressure", &self.back_pressure)
            .finish_non_exhaustive()
    }
}
