//! The gateway as its users meet it: a process with a configuration, between real clients and real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails, in what supports it too"
)]

mod support {
    pub mod client;
    pub mod config;
    pub mod gateway;
    pub mod h2_upstream;
    pub mod pki;
    pub mod poll;
    pub mod upstream;
}

mod bad_input;
mod cancel;
mod check;
mod commands;
mod drain;
mod product_details;
mod proxy;
mod shop;
mod tls;
