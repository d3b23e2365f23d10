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
pub(crate) fn stop_on_stdin_eof(shutdown: CancellationToken) -> std::io::Result<()> {
    // A thread of its own, not tokio's blocking pool: the runtime would wait for the read when it ends.
    let watch = move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        tracing::info!("stdin was closed");
        shutdown.cancel();
    };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(watch)
        .map(drop)
}
