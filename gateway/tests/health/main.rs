//! Active health checks: against endpoints in memory and in paused time, and against sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails, in what supports it too"
)]

mod answers;
mod follow;
mod pace;
mod sockets;
mod support;
