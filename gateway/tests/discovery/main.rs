//! Discovery over the real thing: files that are written and replaced, and a name server on UDP and TCP that tests change while it
//! is being asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails, in what supports it too"
)]

mod dns;
mod file;
mod fixed;
mod srv;
mod support;
