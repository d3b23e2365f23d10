//! From configuration to a running service.

use super::common::CommonSettings;
use super::context::Bound;
use super::drain::Drain;
use super::running::{Drains, Orders, PublicDrain, Running};
use super::{Context, OwnServer, RunError, StartError, listen, serve};
use crate::cli::{self, Flags, ServiceInfo};
use crate::config::{self, Loaded, Section, Sources};
use crate::faults::FaultSwitch;
use crate::{layers, ops, telemetry};
use axum::Router;
use std::ffi::OsString;
use std::future::Future;
use std::sync::Arc;
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
    let start = async |config, context| start(config, context).await.map(Public::Router);
    launch_public(info, args, parse, start, Sharing::Alone).await
}

/// As [`launch`], for a service that serves the public address by itself.
pub async fn launch_own<C, F, Fut>(
    info: &ServiceInfo,
    args: impl IntoIterator<Item = OsString>,
    parse: fn(&mut Section<'_>) -> C,
    start: F,
) -> Result<Running, RunError>
where
    C: Send + 'static,
    F: FnOnce(C, Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Arc<dyn OwnServer>, StartError>> + Send + 'static,
{
    let start = async |config, context| start(config, context).await.map(Public::Own);
    launch_public(info, args, parse, start, Sharing::Shared).await
}

async fn launch_public<C>(
    info: &ServiceInfo,
    args: impl IntoIterator<Item = OsString>,
    parse: fn(&mut Section<'_>) -> C,
    start: impl AsyncFnOnce(C, Context) -> Result<Public, StartError>,
    sharing: Sharing,
) -> Result<Running, RunError> {
    let flags = cli::parse(info, args)?;
    let loaded = load(info, &flags, parse)?;
    let (common, config) = loaded.value;
    begin(info, common, config, start, sharing, Orders::default()).await
}

/// What serves the public address.
pub(super) enum Public {
    Router(Router),
    Own(Arc<dyn OwnServer>),
}

/// Whether other sockets may be bound to the public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    Alone,
    Shared,
}

pub(crate) fn load<C>(
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
pub(super) async fn begin<C>(
    info: &ServiceInfo,
    common: CommonSettings,
    config: C,
    start: impl AsyncFnOnce(C, Context) -> Result<Public, StartError>,
    sharing: Sharing,
    orders: Orders,
) -> Result<Running, RunError> {
    let metrics = telemetry::metrics::install();
    // Both before `start`: a port in use should be known before a store is opened or a cache warmed.
    let (public, http) = listen::bind(common.listen, "listen", sharing).await?;
    let (private, ops) = listen::bind(common.ops_listen, "ops.listen", Sharing::Alone).await?;

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

    let public = match sharing {
        Sharing::Alone => Some(public),
        Sharing::Shared => {
            let listener = public
                .into_std()
                .map_err(|error| RunError::Runtime(crate::io_reason(&error)))?;
            context.keep_listener(listener);
            None
        }
    };
    let started = tokio::select! {
        started = start(config, context.clone()) => started.map_err(RunError::Start),
        () = orders.shutdown.cancelled() => Err(RunError::Stopped),
    };
    let served = match started {
        Ok(served) => served,
        Err(error) => {
            // Ends what `start` may have set going before it failed.
            orders.shutdown.cancel();
            ops_drain.finish(Duration::ZERO, &orders.hurry).await;
            return Err(error);
        }
    };
    let public = match served {
        Public::Router(router) => {
            let router = layers::public(router, &common, &context);
            let drain = Drain::default();
            if let Some(listener) = public {
                tokio::spawn(serve::serve(
                    listener,
                    router,
                    common.header_timeout,
                    drain.clone(),
                ));
            }
            PublicDrain::Router(drain)
        }
        Public::Own(server) => PublicDrain::Own(server),
    };
    context.readiness().serving();
    tracing::info!(service = info.name, version = info.version, %http, %ops, "listening");

    let drains = Drains {
        public,
        ops: ops_drain,
    };
    Ok(Running::new(context, common.drain, drains, orders.hurry))
}
