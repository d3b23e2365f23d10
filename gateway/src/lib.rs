//! An API gateway, driven by configuration: a path leads to an upstream, and the calls to an upstream go through the guards
//! that its configuration names.
//!
//! - [`config`]: what is written, and what it means
//! - [`data`]: the way of a request to an upstream and back; [`data::stack()`](data::stack::stack) is where its guards are put together
//! - [`aggregate`]: answers made from several upstreams
//! - [`control`]: what the gateway says about itself

pub mod aggregate;
pub mod config;
pub mod control;
pub mod data;

mod app;
mod commands;

use std::{ffi::OsString, process::ExitCode};

use service_kit::ServiceInfo;

/// The configurations that are shipped, by file name. The first is built in.
pub const CONFIGS: &[(&str, &str)] = &[
    ("shop.toml", include_str!("../config/shop.toml")),
    ("v1.toml", include_str!("../config/v1.toml")),
    ("v2.toml", include_str!("../config/v2.toml")),
];

/// Every key in one file, which leads nowhere.
pub const FULL_CONFIG: &str = include_str!("../config/full.toml");

/// What is particular to the gateway's process.
pub const INFO: ServiceInfo = ServiceInfo {
    name: "gateway",
    version: env!("CARGO_PKG_VERSION"),
    about: "A config-driven API gateway: routes by path, guards every upstream, joins product and recommendations",
    env_prefix: "GATEWAY",
    env_aliases: &[],
    default_config: include_str!("../config/shop.toml"),
    after_help: "Every key is in docs/gateway/configuration.md and, as an example, in gateway/config/full.toml; `gateway schema` prints a \
                 JSON Schema for editors. The gateway itself answers GET /health and GET /circuit-status.\n\n\
                 Shipped configurations (gateway/config): shop.toml, built in, routes the whole shop by path; v1.toml and \
                 v2.toml join product and recommendations without and with protection.",
};

/// Runs the gateway with these command-line arguments, of which the first is the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    service_kit::run_command(&INFO, args, config::read, commands::ALL)
        .unwrap_or_else(|args| service_kit::run_own(&INFO, args, config::read, app::start))
}
