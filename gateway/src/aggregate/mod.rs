//! Answers that the gateway puts together from several upstreams.

pub mod client;
pub mod fallback;
pub mod probe;
pub mod product_details;
pub mod source;
pub mod stack;
