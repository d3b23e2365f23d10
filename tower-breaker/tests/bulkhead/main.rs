//! The bulkhead, seen from outside.

// Clippy's own exception for tests does not reach their helpers.
#![allow(clippy::unwrap_used)]

mod building;
mod cancelling;
mod defects;
mod handle;
mod model;
mod panics;
mod reserving;
mod resizing;
mod service;
mod stress;
mod support;
mod waiting;
