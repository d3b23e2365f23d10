//! The shop's product service: the catalog and what to recommend beside a product.
//!
//! One binary with two roles, chosen by configuration, so that catalog and recommendations can run together or apart.
//! Handlers know products and nothing of failure: time-outs, drain and injected faults are layers of the kit.

#![deny(missing_docs)]

pub mod catalog;
pub mod config;
pub mod recommendations;
pub mod routes;

use std::{ffi::OsString, process::ExitCode};

use service_kit::ServiceInfo;

/// The shipped configurations: file name and text.
pub const CONFIGS: &[(&str, &str)] = &[
    ("catalog.toml", include_str!("../config/catalog.toml")),
    (
        "recommendations.toml",
        include_str!("../config/recommendations.toml"),
    ),
    ("default.toml", include_str!("../config/default.toml")),
];

const INFO: ServiceInfo = ServiceInfo {
    name: "product-svc",
    version: env!("CARGO_PKG_VERSION"),
    about: "Serves the shop's products and what to recommend beside them",
    env_prefix: "PRODUCT_SVC",
    env_aliases: &[("SIMULATE_FAILURE", "faults.simulate")],
    default_config: include_str!("../config/default.toml"),
    after_help: include_str!("after_help.txt"),
};

/// Runs the service with these command-line arguments (the first is the program's name) until it is told to stop.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    service_kit::run(
        &INFO,
        args,
        config::Config::read,
        |config, _context| async { Ok(routes::router(config)) },
    )
}
