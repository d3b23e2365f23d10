//! What clients and upstreams that do not keep to the rules get, byte by byte, on sockets of the real program.
//!
//! Most of it is tables of [`support::case::Case`]: what is sent, what must come back, whether the connection lives on, and exactly which
//! requests the upstream must have got. The upstream is raw, too: it parses as strictly as the specification allows, and remembers
//! every byte that it could not make sense of, so that a request smuggled in the body of another is seen however it is framed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails, in what supports it too"
)]

mod support {
    #[allow(dead_code, reason = "shared with the other tests of the program")]
    #[path = "../../it/support/config.rs"]
    pub mod config;
    #[allow(dead_code, reason = "shared with the other tests of the program")]
    #[path = "../../it/support/gateway.rs"]
    pub mod gateway;
    #[allow(dead_code, reason = "shared with the other tests of the program")]
    #[path = "../../it/support/poll.rs"]
    pub mod poll;

    pub mod case;
    pub mod connection;
    pub mod h2;
    pub mod message;
    pub mod upstream;
}

mod answers;
mod bodies;
mod fields;
mod forwarding;
mod h2_abuse;
mod h2_requests;
mod hosts;
mod limits;
mod lines;
mod paths;
mod pipelining;
mod slow;
mod upgrades;
