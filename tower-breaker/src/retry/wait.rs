use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

pin_project! {
    /// The wait before the next attempt. Dropping it ends it.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryWait {
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl RetryWait {
    pub(super) fn new(wait: Duration) -> Self {
        // A policy that never waits needs no timer to be running.
        Self {
            sleep: (!wait.is_zero()).then(|| sleep(wait)),
        }
    }
}

impl Future for RetryWait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().sleep.as_pin_mut() {
            Some(sleep) => sleep.poll(cx),
            None => Poll::Ready(()),
        }
    }
}
