//! The one line on stdout by which a parent process learns the addresses.

use std::net::SocketAddr;

pub(crate) fn line(service: &str, http: SocketAddr, ops: SocketAddr) -> String {
    // Formatted by hand to keep the order of the members; the name is a plain word and addresses need no escapes.
    format!(
        "{{\"event\":\"listening\",\"service\":\"{service}\",\"http\":\"{http}\",\"ops\":\"{ops}\"}}\n"
    )
}
