//! What tells the process to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `shutdown` at the first SIGTERM or SIGINT and `hurry` at the second.
pub(crate) fn stop_on_signals(
    shutdown: CancellationToken,
    hurry: CancellationToken,
) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for order in [shutdown, hurry] {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "asked to stop");
            order.cancel();
        }
    });
    Ok(())
}

/// Cancels `shutdown` when the process that started this one is gone and so stdin is closed.
///
/// A thread of its own: a read of stdin cannot be interrupted, and the runtime would wait for one of its blocking
/// threads at the end.
pub(crate) fn stop_on_stdin_eof(shutdown: CancellationToken) -> std::io::Result<()> {
    let until_closed = move || {
        // An error is as good as the end: nobody is there to talk to.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        tracing::info!("stdin was closed");
        shutdown.cancel();
    };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(until_closed)?;
    Ok(())
}
