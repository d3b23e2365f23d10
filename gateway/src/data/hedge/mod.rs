//! A second attempt beside one that is slow ("The Tail at Scale", Dean and Barroso, 2013).
//!
//! Once an attempt takes longer than most did lately, the same request goes to another endpoint; the answer that comes first is the
//! one. A second attempt is load like a retry is, so it is paid for out of the same budget, and only requests have one that may
//! have a retry.

mod latencies;
mod service;

pub use latencies::Latencies;
pub use service::{Hedge, HedgeLayer};
