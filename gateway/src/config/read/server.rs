//! The side of the clients: listeners, limits, what is said of clients.

use std::sync::Arc;

use http::HeaderValue;
use service_kit::runtime::RequestLimits;

use super::{fields::Fields, parse};
use crate::config::model::{
    ForwardedHeaders, Forwarding, Http2Limits, Limits, Listener, ServerTls,
};

pub(super) fn workers(root: &mut Fields<'_>) -> usize {
    match root.count("workers") {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers as usize,
    }
}

pub(super) fn listeners(root: &mut Fields<'_>) -> Vec<Listener> {
    let mut taken = vec![];
    for table in [
        root.section().clone(),
        root.section().section_or_empty("ops"),
    ] {
        // Read for the comparison alone; what is wrong with them is service-kit's to say, and is said once.
        taken.extend(table.clone().opt_socket_addr("listen"));
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for mut table in root.tables("listener") {
        let address = table.address("address");
        let name = table.parsed("name", parse::name);
        let http2 = table.flag("http2");
        let tls = table.table("tls").map(|mut table| server_tls(&mut table));
        let Some(address) = address else { continue };
        if address.port() != 0 && taken.contains(&address) {
            table.reject("address", "an address that no other listener has");
        }
        taken.push(address);
        let name = name.unwrap_or_else(|| Arc::from(address.to_string()));
        if listeners.iter().any(|listener| listener.name == name) {
            table.reject("name", "a name that no other listener has");
        }
        listeners.push(Listener {
            name,
            address,
            http2,
            tls: tls.flatten(),
        });
    }
    listeners
}

fn server_tls(table: &mut Fields<'_>) -> Option<ServerTls> {
    let certificate = table.file("certificate");
    let key = table.file("key");
    let reload = table.duration("reload");
    Some(ServerTls {
        certificate: certificate?,
        key: key?,
        reload,
    })
}

pub(super) fn limits(root: &mut Fields<'_>) -> Limits {
    let common = RequestLimits::read(root.section());
    let mut table = root.table_or_empty("limits");
    let connections = table.count("connections") as usize;
    let requests = table.count("requests_per_connection");
    let headers = table.count("headers") as usize;
    let header_bytes = bytes(table.size("header_bytes"));
    let uri_bytes = bytes(table.size("uri_bytes"));
    let idle_timeout = table.duration("idle_timeout");
    Limits {
        connections,
        requests_per_connection: (requests > 0).then_some(requests),
        headers,
        header_bytes,
        uri_bytes,
        body: common.max_body,
        request_timeout: common.request_timeout,
        header_timeout: common.header_timeout,
        idle_timeout,
        body_timeout: common.body_timeout,
        http2: http2(&mut table.table_or_empty("http2")),
    }
}

fn http2(table: &mut Fields<'_>) -> Http2Limits {
    Http2Limits {
        streams: table.count("streams"),
        resets: table.count("resets") as usize,
        header_list: narrow(table.size("header_list")),
        window: narrow(table.size("window")),
    }
}

pub(super) fn forwarding(root: &mut Fields<'_>) -> Forwarding {
    let mut table = root.table_or_empty("forwarding");
    let trusted = table.all_parsed("trusted", parse::network);
    let headers = match table.word("headers").as_str() {
        "x-forwarded" => ForwardedHeaders::XForwarded,
        "forwarded" => ForwardedHeaders::Forwarded,
        "none" => ForwardedHeaders::None,
        _ => ForwardedHeaders::Both,
    };
    let via = table.parsed("via", |text| {
        parse::token(text).and_then(|token| HeaderValue::from_str(&token).ok())
    });
    Forwarding {
        trusted,
        headers,
        via: via.unwrap_or(HeaderValue::from_static("gateway")),
        request_id: table.flag("request_id"),
    }
}

/// The key's range fits.
fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// The key's range fits.
fn narrow(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
