//! What the gateway says about itself.

pub mod circuit_status;
pub mod health;
