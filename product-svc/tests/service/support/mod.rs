//! Runs the built binary as users do, and speaks HTTP to it.

mod http;
mod process;

pub use http::{Reply, Request, raw};
pub use process::{Finished, Service, run};

use std::{future::Future, time::Duration};

/// Far beyond what anything here needs: reaching it means that the thing waited for never happens.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Fails the test when this takes longer than [`DEADLINE`].
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("no end within {DEADLINE:?}: {what}"),
    }
}

/// Asks again until the answer is yes.
pub async fn eventually<F, Fut>(what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    in_time(what, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
