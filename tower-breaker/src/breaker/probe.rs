//! Recovery in the background, so that no user's call is the trial.

use std::{
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use super::{CircuitBreaker, State, permit::Permit};
use crate::classify::Verdict;

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
            match verdict_of(&mut check).await {
                Verdict::Success => permit.success(),
                Verdict::Failure => permit.failure(),
                Verdict::Ignore => {
                    permit.ignore();
                    // The wait is over already: without a pause an undecided check would be repeated at once.
                    self.nap(self.open_for(), self.shared.generation()).await;
                }
            }
        }
        checks
    }

    // Waits for a trial slot. `None` when the circuit is closed.
    async fn next_trial(&self) -> Option<Permit> {
        loop {
            if let Some(permit) = self.try_trial() {
                return Some(permit);
            }
            let snapshot = self.snapshot();
            let generation = snapshot.generation;
            match (snapshot.state, snapshot.open_remaining) {
                (State::Closed, _) => return None,
                (State::Open, Some(remaining)) => self.nap(remaining, generation).await,
                // A slot may come free without a transition.
                (State::HalfOpen, _) => self.nap(self.open_for(), generation).await,
                (State::Open, None) => self.changed_since(generation).await,
            }
        }
    }

    // A change by hand must not be slept through.
    async fn nap(&self, time: Duration, generation: u64) {
        let changed = self.changed_since(generation);
        let _ = tokio::time::timeout(time.max(SHORTEST_SLEEP), changed).await;
    }

    async fn changed_since(&self, generation: u64) {
        self.changed_unless(|| self.shared.generation() != generation)
            .await;
    }

    fn open_for(&self) -> Duration {
        Duration::from_nanos(self.shared.machine.policy().open_for)
    }

    // Waits for the next transition, unless `done` already. `notify_waiters` wakes every `Notified` that exists, polled or
    // not, so it is made before `done` is asked.
    async fn changed_unless(&self, done: impl Fn() -> bool) {
        let changed = self.shared.changed.notified();
        if !done() {
            changed.await;
        }
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
