//! From command line to running service to exit status.

use super::common::{CommonSettings, DrainSettings};
use super::context::Bound;
use super::drain::Drain;
use super::{Context, RunError, StartError, announce, listen, serve, signals};
use crate::cli::{self, Flags, ServiceInfo};
use crate::config::{self, Loaded, Section, Sources};
use crate::faults::FaultSwitch;
use crate::{layers, ops, output, telemetry};
use axum::Router;
use std::ffi::OsString;
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const BAD_USAGE: u8 = 2;

/// The whole life of a service process: parse flags, merge and validate the configuration (every error at once, exit
/// status 2), start telemetry, bind both listeners, call `start`, announce, serve, drain.
///
/// `args` begins with the program's name, as [`std::env::args_os`] does. `start` gets the validated configuration and
/// returns the public routes; the common layers (panics and empty error answers as problems, access log, metrics, trace
/// context, body limit, request time-out, faults) are put around them here.
pub fn run<C, F, Fut>(
    info: &ServiceInfo,
    args: impl IntoIterator<Item = OsString>,
    parse: fn(&mut Section<'_>) -> C,
    start: F,
) -> ExitCode
where
    C: Send + 'static,
    F: FnOnce(C, Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Router, StartError>> + Send + 'static,
{
    let flags = match cli::parse(info, args) {
        Ok(flags) => flags,
        Err(answer) => {
            let _ = answer.print();
            return if answer.use_stderr() {
                ExitCode::from(BAD_USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let loaded = match load(info, &flags, parse) {
        Ok(loaded) => loaded,
        Err(errors) => {
            output::complain(info.name, &errors.to_string());
            return ExitCode::from(BAD_USAGE);
        }
    };
    if flags.check || flags.print_config {
        let text = if flags.print_config {
            loaded.print()
        } else {
            format!("{}: ok\n", source_name(&flags))
        };
        output::say(&text);
        return ExitCode::SUCCESS;
    }
    match serve_process(info, &flags, loaded.value, start) {
        Ok(()) | Err(RunError::Stopped) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(info.name, &error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn source_name(flags: &Flags) -> String {
    match &flags.config {
        Some(path) => path.display().to_string(),
        None => "built-in configuration".to_owned(),
    }
}

fn load<C>(
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

fn serve_process<C, F, Fut>(
    info: &ServiceInfo,
    flags: &Flags,
    (common, config): (CommonSettings, C),
    start: F,
) -> Result<(), RunError>
where
    C: Send + 'static,
    F: FnOnce(C, Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Router, StartError>> + Send + 'static,
{
    common.log.install();
    layers::log_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::Runtime(crate::io_reason(&error)))?;
    let outcome = runtime.block_on(async {
        let orders = Orders::default();
        let failed = |error: std::io::Error| RunError::Runtime(crate::io_reason(&error));
        signals::stop_on_signals(orders.shutdown.clone(), orders.hurry.clone()).map_err(failed)?;
        if flags.stop_on_stdin_eof {
            signals::stop_on_stdin_eof(orders.shutdown.clone()).map_err(failed)?;
        }
        let running = begin(info, common, config, start, orders).await?;
        output::say(&announce::line(info.name, running.http, running.ops));
        running.wait().await;
        Ok(())
    });
    // A blocking task that hangs (a stuck disk) must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Starts a service inside the current tokio runtime, as tests and embedding programs need it: no signals, no
/// announcement, no exit. Flags, environment and configuration work as in [`run`].
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

/// From outside: stop, and stop at once.
#[derive(Debug, Clone, Default)]
struct Orders {
    shutdown: CancellationToken,
    hurry: CancellationToken,
}

async fn begin<C, F, Fut>(
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

    let router = tokio::select! {
        started = start(config, context.clone()) => started.map_err(RunError::Start)?,
        () = orders.shutdown.cancelled() => return Err(RunError::Stopped),
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

    let ended = tokio::spawn(end(
        context.clone(),
        common.drain,
        drain,
        ops_drain,
        orders.hurry,
    ));
    Ok(Running {
        http,
        ops,
        context,
        ended,
    })
}

/// Waits for the order to stop, then stops.
async fn end(
    context: Context,
    settings: DrainSettings,
    public: Drain,
    ops: Drain,
    hurry: CancellationToken,
) {
    context.shutdown().cancelled().await;
    context.readiness().draining();
    tracing::info!(delay = ?settings.delay, limit = ?settings.limit, "draining");
    tokio::select! {
        () = tokio::time::sleep(settings.delay) => {}
        () = hurry.cancelled() => {}
    }
    let cut_off = public.finish(settings.limit, &hurry).await;
    if cut_off > 0 {
        tracing::warn!(
            connections = cut_off,
            "cut off what did not end within drain.limit"
        );
    }
    let finishes = async {
        for finish in context.take_finishes() {
            finish.await;
        }
    };
    // Flushing a store is worth a moment even when requests were given none.
    let limit = settings.limit.max(Duration::from_secs(1));
    if tokio::time::timeout(limit, finishes).await.is_err() {
        tracing::error!("the service's own clean-up did not end within drain.limit");
    }
    ops.finish(Duration::from_millis(100), &hurry).await;
    tracing::info!("stopped");
}

/// A service that runs. Dropping it leaves the service running until the runtime ends.
#[derive(Debug)]
pub struct Running {
    /// The public address, with the real port.
    pub http: SocketAddr,
    /// The ops address, with the real port.
    pub ops: SocketAddr,
    context: Context,
    ended: JoinHandle<()>,
}

impl Running {
    /// The service's context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Waits until the service has stopped.
    pub async fn wait(self) {
        let _ = self.ended.await;
    }

    /// Drains and stops it.
    pub async fn stop(self) {
        self.context.shutdown().cancel();
        self.wait().await;
    }
}
