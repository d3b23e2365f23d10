//! From configuration to a running service.

use super::common::CommonSettings;
use super::context::Bound;
use super::drain::Drain;
use super::running::{Drains, Orders, Running};
use super::{Context, RunError, StartError, listen, serve};
use crate::cli::{self, Flags, ServiceInfo};
use crate::config::{self, Loaded, Section, Sources};
use crate::faults::FaultSwitch;
use crate::{layers, ops, telemetry};
use axum::Router;
use std::ffi::OsString;
use std::future::Future;
use std::time::Duration;

/// Starts a service inside the current tokio runtime, as tests and embedding programs need it: no signals, no
/// announcement, no exit. Flags, environment and configuration work as in [`run`](super::run).
pub async fn launch<C, F, Fut>(
    info: &ServiceInfo,
    args: impl IntoIterator<Item = OsString>,
    parse: fn(&mut Section<'_>) -> C,
    start: F,
) -> Result<Running, RunError>
where
    C: Send + 'static,
    F: FnOnce(C, Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Router, StartError>> + Send + 'static,
{
    let flags = cli::parse(info, args)?;
    let loaded = load(info, &flags, parse)?;
    let (common, config) = loaded.value;
    begin(info, common, config, start, Orders::default()).await
}

pub(super) fn load<C>(
    info: &ServiceInfo,
    flags: &Flags,
    parse: fn(&mut Section<'_>) -> C,
) -> Result<Loaded<(CommonSettings, C)>, config::ConfigErrors> {
    let sources = Sources {
        file: flags.config.clone(),
        built_in: info.default_config,
        env_prefix: info.env_prefix,
        env_aliases: info.env_aliases,
        environment: std::env::vars_os().collect(),
        flags: flags.set.clone(),
    };
    config::load(&sources, |root| {
        (CommonSettings::read(root, info), parse(root))
    })
}

/// Binds, starts and serves; the rest of the service's life is [`Running`].
pub(super) async fn begin<C, F, Fut>(
    info: &ServiceInfo,
    common: CommonSettings,
    config: C,
    start: F,
    orders: Orders,
) -> Result<Running, RunError>
where
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = Result<Router, StartError>>,
{
    let metrics = telemetry::metrics::install();
    // Both before `start`: a port in use should be known before a store is opened or a cache warmed.
    let (public, http) = listen::bind(common.listen, "listen").await?;
    let (private, ops) = listen::bind(common.ops_listen, "ops.listen").await?;

    tokio::spawn(telemetry::metrics::upkeep(
        metrics.clone(),
        orders.shutdown.clone(),
    ));
    let switch = FaultSwitch::new(common.faults.simulate);
    let context = Context::new(Bound { http, ops }, switch, orders.shutdown.clone());
    let ops_drain = Drain::default();
    let ops_router = ops::router(&context, metrics);
    tokio::spawn(serve::serve(
        private,
        layers::ops(ops_router),
        common.header_timeout,
        ops_drain.clone(),
    ));

    let started = tokio::select! {
        started = start(config, context.clone()) => started.map_err(RunError::Start),
        () = orders.shutdown.cancelled() => Err(RunError::Stopped),
    };
    let router = match started {
        Ok(router) => router,
        Err(error) => {
            // Ends what `start` may have set going before it failed.
            orders.shutdown.cancel();
            ops_drain.finish(Duration::ZERO, &orders.hurry).await;
            return Err(error);
        }
    };
    let router = layers::public(router, &common, &context);
    let drain = Drain::default();
    tokio::spawn(serve::serve(
        public,
        router,
        common.header_timeout,
        drain.clone(),
    ));
    context.readiness().serving();
    tracing::info!(service = info.name, version = info.version, %http, %ops, "listening");

    let drains = Drains {
        public: drain,
        ops: ops_drain,
    };
    Ok(Running::new(context, common.drain, drains, orders.hurry))
}
