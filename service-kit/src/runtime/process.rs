//! From command line to exit status.

use super::common::CommonSettings;
use super::launch::{Public, Sharing, begin, load};
use super::running::Orders;
use super::{Context, OwnServer, RunError, StartError, announce, signals};
use crate::cli::{self, Flags, ServiceInfo};
use crate::config::Section;
use crate::{layers, output};
use axum::Router;
use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

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
    let start = async |config, context| start(config, context).await.map(Public::Router);
    process(info, args, parse, start, Sharing::Alone)
}

/// As [`run`], for a service that serves the public address by itself ([`OwnServer`]): the common layers are not put around
/// it, and `request_timeout` and `[faults]` are its own to obey. The listener, bound with `SO_REUSEPORT`, is in the context.
pub fn run_own<C, F, Fut>(
    info: &ServiceInfo,
    args: impl IntoIterator<Item = OsString>,
    parse: fn(&mut Section<'_>) -> C,
    start: F,
) -> ExitCode
where
    C: Send + 'static,
    F: FnOnce(C, Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Arc<dyn OwnServer>, StartError>> + Send + 'static,
{
    let start = async |config, context| start(config, context).await.map(Public::Own);
    process(info, args, parse, start, Sharing::Shared)
}

fn process<C>(
    info: &ServiceInfo,
    args: impl IntoIterator<Item = OsString>,
    parse: fn(&mut Section<'_>) -> C,
    start: impl AsyncFnOnce(C, Context) -> Result<Public, StartError>,
    sharing: Sharing,
) -> ExitCode {
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
            format!("{}: ok\n", flags.source_name())
        };
        output::say(&text);
        return ExitCode::SUCCESS;
    }
    match serve_process(info, &flags, loaded.value, start, sharing) {
        Ok(()) | Err(RunError::Stopped) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(info.name, &error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn serve_process<C>(
    info: &ServiceInfo,
    flags: &Flags,
    (common, config): (CommonSettings, C),
    start: impl AsyncFnOnce(C, Context) -> Result<Public, StartError>,
    sharing: Sharing,
) -> Result<(), RunError> {
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
        let running = begin(info, common, config, start, sharing, orders).await?;
        output::say(&announce::line(
            info.name,
            running.http,
            running.ops,
            &running.context().listeners(),
        ));
        running.wait().await;
        Ok(())
    });
    // A blocking task that hangs (a stuck disk) must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}
