//! Recovery in the background, so that no user's call is the trial.

use std::{
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use tokio::sync::futures::Notified;

use super::{CircuitBreaker, Recovery, State, permit::Permit};
use crate::{Reason, classify::Verdict};

// With a clock of the user's own, tokio's timer may run ahead of it.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

impl CircuitBreaker {
    /// Checks the health of what is behind the circuit whenever it is open, until it is closed again; and so for ever.
    ///
    /// Meant for a task of its own, beside [`Recovery::Probed`](super::Recovery::Probed): after each open wait `check` is
    /// called, its verdict counts as a trial's (a panic as a failure), and while the circuit is closed nothing is done. `check` should limit its
    /// own time. This library starts no tasks: spawn this, and drop it to stop.
    ///
    /// ```
    /// # async fn ping() -> Result<(), std::io::Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_breaker::BoxError> {
    /// use std::time::Duration;
    /// use tower_breaker::{CircuitBreaker, Recovery, classify::Verdict};
    ///
    /// let breaker = CircuitBreaker::builder("recommendations")
    ///     .consecutive_failures(3)
    ///     .open_for(Duration::from_secs(5))
    ///     .recovery(Recovery::Probed)
    ///     .build()?;
    /// let prober = breaker.clone();
    /// tokio::spawn(async move {
    ///     prober
    ///         .probe_forever(|| async {
    ///             match tokio::time::timeout(Duration::from_secs(1), ping()).await {
    ///                 Ok(Ok(())) => Verdict::Success,
    ///                 _ => Verdict::Failure,
    ///             }
    ///         })
    ///         .await
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub async fn probe_forever<F, Fut>(&self, mut check: F) -> Infallible
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Verdict>,
    {
        loop {
            self.changed_unless(|| self.state() != State::Closed).await;
            self.probe_until_closed(&mut check).await;
        }
    }

    /// Checks the health of what is behind the circuit after each open wait, until the circuit is closed. Gives how many
    /// checks that took: 0 if it was closed already, or has been closed by others.
    ///
    /// Dropped, it leaves the circuit as it is; a check that was running is an abandoned trial.
    pub async fn probe_until_closed<F, Fut>(&self, mut check: F) -> u64
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Verdict>,
    {
        let mut checks = 0;
        while let Some(permit) = self.next_trial().await {
            checks += 1;
            let verdict = verdict_of(&mut check).await;
            if verdict != Verdict::Ignore {
                self.report_health(verdict == Verdict::Success);
            }
            match verdict {
                Verdict::Success => permit.success(),
                Verdict::Failure => permit.failure(),
                Verdict::Ignore => {
                    permit.ignore();
                    // The wait is over already: without a pause an undecided check would be repeated at once.
                    let changed = self.shared.changed.notified();
                    let pause = self.shared.machine.pause();
                    within(Some(Duration::from_nanos(pause)), changed).await;
                }
            }
        }
        checks
    }

    /// Makes an open circuit half-open as soon as its wait is over, and not only when a call comes; and so for ever.
    ///
    /// Meant for a task of its own, beside [`Recovery::Timed`](super::Recovery::Timed). This library starts no tasks: spawn
    /// this, and drop it to stop.
    pub async fn half_open_on_time(&self) -> Infallible {
        loop {
            // Before the circuit is looked at, or a change could be missed: `notify_waiters` wakes every `Notified` that exists,
            // polled or not.
            let changed = self.shared.changed.notified();
            if !self.shared.elapse() {
                within(self.open_remaining(), changed).await;
            }
        }
    }

    /// Waits until it may be worth asking again a circuit that refuses.
    pub(super) async fn until_worth_asking(self) {
        let changed = self.shared.changed.notified();
        let Some(denied) = self.shared.denied() else {
            return;
        };
        let wait = match denied.reason() {
            // Only a check will change it.
            _ if self.shared.recovery == Recovery::Probed => None,
            Reason::HalfOpenFull => self.first_lease(),
            _ => denied.wait(),
        };
        within(wait, changed).await;
    }

    // Waits for a trial slot. `None` when the circuit is closed.
    async fn next_trial(&self) -> Option<Permit> {
        loop {
            let changed = self.shared.changed.notified();
            if let Some(permit) = self.try_trial() {
                return Some(permit);
            }
            let wait = match self.state() {
                State::Closed => return None,
                State::Open => self.open_remaining(),
                State::HalfOpen => self.first_lease(),
            };
            within(wait, changed).await;
        }
    }

    // What is left of the open wait, if the circuit is open and not held.
    fn open_remaining(&self) -> Option<Duration> {
        let now = self.shared.now();
        let until = self.shared.machine.open_until()?;
        Some(Duration::from_nanos(until.saturating_sub(now)))
    }

    // Until the first lease of the running trials is over.
    fn first_lease(&self) -> Option<Duration> {
        let machine = &self.shared.machine;
        let lease = machine.policy().lease?;
        let now = self.shared.now();
        // A trial that has only just been let in may not show its lease yet.
        let left = machine
            .first_lease_end()
            .map_or(lease.time, |end| end.saturating_sub(now));
        Some(Duration::from_nanos(left))
    }

    async fn changed_unless(&self, done: impl Fn() -> bool) {
        let changed = self.shared.changed.notified();
        if !done() {
            changed.await;
        }
    }
}

// Waits for a change, but no longer than this: a change by hand must not be slept through.
async fn within(time: Option<Duration>, changed: Notified<'_>) {
    match time {
        Some(time) => {
            let _ = tokio::time::timeout(time.max(SHORTEST_SLEEP), changed).await;
        }
        None => changed.await,
    }
}

// A check that panics has failed; the panic hook has reported it. Ended by it, probing would leave the circuit open for ever.
async fn verdict_of<Fut>(check: &mut impl FnMut() -> Fut) -> Verdict
where
    Fut: Future<Output = Verdict>,
{
    let Ok(future) = catch_unwind(AssertUnwindSafe(check)) else {
        return Verdict::Failure;
    };
    let mut future = pin!(future);
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)))
            .unwrap_or(Poll::Ready(Verdict::Failure))
    })
    .await
}
