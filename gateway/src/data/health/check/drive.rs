//! Running an exchange and its connection in one task, so that a check that is dropped leaves nothing behind.

use std::{future::Future, pin::pin, time::Duration};

use tokio::time::timeout;

/// For saying goodbye: an endpoint's log should not fill with connections that were reset.
const CLOSING: Duration = Duration::from_millis(250);

/// The exchange's result. It must own all handles of the connection, so that the connection ends after it.
pub(super) async fn drive<T>(
    connection: impl Future<Output: Send> + Send + 'static,
    exchange: impl Future<Output = T>,
) -> T {
    let mut connection = Box::pin(connection);
    let mut exchange = pin!(exchange);
    tokio::select! {
        biased;
        result = &mut exchange => {
            // Not in the check's time.
            tokio::spawn(timeout(CLOSING, connection));
            return result;
        }
        _ = &mut connection => {}
    }
    // The connection has delivered everything, and hands out its end or its error.
    exchange.await
}
