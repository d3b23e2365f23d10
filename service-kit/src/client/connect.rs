//! Plain TCP connections.

use hyper_util::client::legacy::connect::HttpConnector;
use std::time::Duration;

/// hyper-util's connector with a time-out and without Nagle's delay of small writes.
pub(super) fn connector(timeout: Duration) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(timeout));
    connector.set_nodelay(true);
    connector.enforce_http(true);
    connector
}
