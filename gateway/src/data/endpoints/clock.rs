//! The clock of endpoints' circuits: the time that whoever ends a request has read anyway.
//!
//! A circuit with a rate over time needs the time at every result. Reading the clock for that once more would be a third of
//! all that balancing costs. So a result is recorded [`at`] a moment; whatever else a circuit does reads tokio's clock.

use std::{cell::Cell, time::Instant};

use tower_breaker::breaker::Clock;

use super::moment::{Moment, origin};

thread_local! {
    /// Zero: nothing has been told.
    static TOLD: Cell<u64> = const { Cell::new(0) };
}

/// Does something to a circuit at a moment.
#[inline]
pub(super) fn at(now: Moment, act: impl FnOnce()) {
    /// Also if it panics.
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            TOLD.set(0);
        }
    }
    TOLD.set(now.as_nanos());
    let _forget = Forget;
    act();
}

/// The clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToldClock;

impl ToldClock {
    #[inline]
    fn nanos(self) -> u64 {
        match TOLD.get() {
            0 => Moment::now().as_nanos(),
            told => told,
        }
    }
}

impl Clock for ToldClock {
    fn now(&self) -> Instant {
        origin() + std::time::Duration::from_nanos(self.nanos())
    }

    fn origin(&self) -> Instant {
        origin()
    }

    // There is but one origin.
    #[inline]
    fn nanos_since(&self, _: Instant) -> u64 {
        self.nanos()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_says_what_it_was_told_and_else_what_tokio_says() {
        let clock = ToldClock;
        let elsewhere = Moment::now().after(Duration::from_secs(5));
        at(elsewhere, || {
            assert_eq!(clock.nanos_since(clock.origin()), elsewhere.as_nanos());
            assert_eq!(
                clock.now(),
                origin() + Duration::from_nanos(elsewhere.as_nanos())
            );
        });
        let now = Moment::now().as_nanos();
        assert_eq!(clock.nanos_since(clock.origin()), now);
        let panics = std::panic::catch_unwind(|| at(elsewhere, || panic!("a listener")));
        assert!(panics.is_err());
        assert_eq!(clock.nanos_since(clock.origin()), now);
    }
}
