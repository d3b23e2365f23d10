use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    BulkheadPermit,
    gate::{Answer, Entry, Gate},
    place::Place,
    queue::Seat,
};
use crate::{Reason, Refused, ownership::Owner};

pin_project! {
    /// Waits for a permit; see [`Bulkhead::acquire`](super::Bulkhead::acquire).
    ///
    /// Dropping it leaves the queue at once. A permit that had already come is passed on.
    #[must_use = "futures do nothing unless polled, but this one holds its place in the queue"]
    pub struct Acquire {
        state: State,
        // Made when the call is seen to have to wait, so that no other call pays for a timer.
        #[pin]
        limit: Option<Sleep>,
    }
}

enum State {
    Admitted(BulkheadPermit),
    Queued(Waiter),
    Refused(Refused),
    Done,
}

impl Acquire {
    pub(super) fn new(gate: &Owner<Gate>, place: Place) -> Self {
        let state = match gate.enter_or_queue(place) {
            Entry::Admitted => State::Admitted(BulkheadPermit::new(gate, place)),
            Entry::Queued(seat) => State::Queued(Waiter {
                gate: gate.clone(),
                place,
                seat: Some(seat),
                since: Instant::now(),
            }),
            Entry::Full => State::Refused(gate.reject(place, gate.reason_when_full())),
        };
        Self { state, limit: None }
    }

    // For a caller that can spare itself work when it is refused right away.
    pub(crate) fn unless_refused(self) -> Result<Self, Refused> {
        match self.state {
            State::Refused(refused) => Err(refused),
            state => Ok(Self {
                state,
                limit: self.limit,
            }),
        }
    }

    pub(super) fn poll_permit(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<BulkheadPermit, Refused>> {
        let this = self.project();
        if let State::Queued(waiter) = this.state {
            let answer = ready!(waiter.poll(this.limit, cx));
            *this.state = State::Done;
            return Poll::Ready(answer);
        }
        match std::mem::replace(this.state, State::Done) {
            State::Admitted(permit) => Poll::Ready(Ok(permit)),
            State::Refused(refused) => Poll::Ready(Err(refused)),
            State::Queued(_) | State::Done => {
                panic!("`Acquire` was polled after it had given its answer")
            }
        }
    }
}

impl Future for Acquire {
    type Output = Result<BulkheadPermit, Refused>;

    /// # Panics
    ///
    /// When polled again after it has given its answer.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_permit(cx).map_err(Refused::from)
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Admitted(_) => "admitted",
            State::Queued(_) => "queued",
            State::Refused(_) => "refused",
            State::Done => "done",
        };
        f.debug_struct("Acquire")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

// A seat in the queue. Dropping it gives the seat up.
struct Waiter {
    gate: Owner<Gate>,
    place: Place,
    // `None` once it has been given up, or given back for a permit.
    seat: Option<Seat>,
    since: Instant,
}

impl Waiter {
    fn poll(
        &mut self,
        mut limit: Pin<&mut Option<Sleep>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<BulkheadPermit, Refused>> {
        let Some(seat) = self.seat else {
            return Poll::Pending;
        };
        let mut answer = self.gate.pick_up(seat, cx.waker(), self.since.elapsed());
        if answer == Answer::NotYet {
            let Some(max_wait) = self.gate.max_wait() else {
                return Poll::Pending;
            };
            if limit.is_none() {
                limit.set(Some(sleep_until(self.since + max_wait)));
            }
            if let Some(limit) = limit.as_pin_mut() {
                ready!(limit.poll(cx));
            }
            // The permit may have come since the first look; it wins over the time limit.
            answer = self.gate.give_up(seat, self.since.elapsed());
        }
        self.seat = None;
        Poll::Ready(match answer {
            Answer::Granted => Ok(BulkheadPermit::new(&self.gate, self.place)),
            Answer::Displaced => Err(self.gate.reject(self.place, Reason::Displaced)),
            Answer::NotYet => Err(self.gate.reject(self.place, Reason::WaitedTooLong)),
        })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(seat) = self.seat {
            self.gate.abandon(seat, self.place);
        }
    }
}
