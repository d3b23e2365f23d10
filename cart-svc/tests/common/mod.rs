//! What the tests with real processes share.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod client;
pub mod directory;
pub mod product;
pub mod service;

use std::time::Duration;

use tokio::time::Instant;

/// Long enough for a loaded machine; reached only by a failing test.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Asks again until `probe` gives a value.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < end, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
