//! What the guards publish as metrics, and say as log events.

#![allow(clippy::unwrap_used)]

mod allocations;
mod catalog;
mod logged;
mod published;
mod rules;
mod scrape;
