//! The bulkhead, seen from outside.

// Clippy's own exception for tests does not reach their helpers.
#![allow(clippy::unwrap_used)]

mod back_pressure;
mod building;
mod cancelling;
mod defects;
mod handle;
mod model;
mod observing;
mod panics;
mod partitions;
mod reserving;
mod resizing;
mod service;
mod stress;
mod support;
mod waiting;
