//! Proof of resilience: a gateway process in front of backend processes that are killed, stopped, slow, or lie, while requests keep
//! coming. What clients see and what arrives at the backends is counted.
//!
//! The tests run one at a time: each measures what others would disturb. Their bounds are counts and ratios; times are bounded only
//! where the time is what is claimed, and generously.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in what supports it too"
)]
#![allow(
    dead_code,
    reason = "what supports other tests as well is not all used here"
)]

mod support {
    pub mod backend;
    pub mod backend_process;
    #[path = "../../it/support/client.rs"]
    pub mod client;
    #[path = "../../it/support/config.rs"]
    pub mod config;
    #[path = "../../it/support/gateway.rs"]
    pub mod gateway;
    pub mod load;
    #[path = "../../discovery/support/name_server.rs"]
    pub mod name_server;
    #[path = "../../it/support/poll.rs"]
    pub mod poll;
    pub mod setup;
}

mod all_down;
mod drain;
mod hedging;
mod names;
mod one_of_three;
mod overload;
mod panics;
mod retries;
