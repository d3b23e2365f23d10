//! The built service, run as users run it: a process with flags, an environment, and HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used)] // The helpers of tests fail the test.

mod bad_requests;
mod configuration;
mod faults;
mod lifecycle;
mod support;
mod surface;
