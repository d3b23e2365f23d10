//! Durable carts, in a vulnerable and a fixed variant: the same handlers over the same [`stack`](product::stack) function, differing only by
//! configuration.

#![deny(missing_docs)]

pub mod config;
pub mod domain;
pub mod product;
pub mod routes;
pub mod store;

mod start;

use std::{ffi::OsString, process::ExitCode};

use service_kit::ServiceInfo;

/// The configurations that are shipped: file name and text.
pub const CONFIGS: &[(&str, &str)] = &[
    ("vulnerable.toml", include_str!("../config/vulnerable.toml")),
    ("fixed.toml", include_str!("../config/fixed.toml")),
];

/// The service's name, flags and built-in configuration (the fixed variant).
pub const INFO: ServiceInfo = ServiceInfo {
    name: "cart-svc",
    version: env!("CARGO_PKG_VERSION"),
    about: "Durable shopping carts over a product service that may fail",
    env_prefix: "CART_SVC",
    env_aliases: &[],
    default_config: include_str!("../config/fixed.toml"),
    after_help: "Without --config the fixed (protected) variant runs; config/vulnerable.toml is the same service without guards.",
};

/// Runs the service with these command-line arguments (the first is the program's name).
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    service_kit::run(&INFO, args, config::parse, start::start)
}
