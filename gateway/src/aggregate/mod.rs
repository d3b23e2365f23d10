//! Answers that the gateway puts together from several upstreams.

pub mod client;
pub mod fallback;
pub mod product_details;
