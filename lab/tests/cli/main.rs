//! The `lab` program as its users run it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod end_to_end;
mod support;
mod usage;
