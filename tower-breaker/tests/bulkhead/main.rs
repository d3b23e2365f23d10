//! The bulkhead, seen from outside.

mod building;
mod cancelling;
mod defects;
mod handle;
mod model;
mod service;
mod stress;
mod support;
mod waiting;
