//! TLS on both sides, and HTTP/2 to upstreams.

mod grpc;
mod listeners;
mod to_upstreams;
mod websocket;

use std::path::Path;

use crate::support::{config, gateway::Gateway};

/// A gateway whose every path leads to the upstream with these keys; `root` are keys of its own.
async fn gateway(root: &str, upstream: &str) -> Gateway {
    let text = format!(
        "workers = 1\n{root}\n[upstreams.only]\n{upstream}\n[[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n"
    );
    Gateway::start(&config::file(&text), &[]).await
}

/// A `[[listener]]` with this certificate.
fn listener((certificate, key): &(impl AsRef<Path>, impl AsRef<Path>)) -> String {
    format!(
        "[[listener]]\nname = \"secure\"\naddress = \"127.0.0.1:0\"\ntls = {{ certificate = {:?}, key = {:?}, reload = \"100ms\" }}\n",
        certificate.as_ref(),
        key.as_ref(),
    )
}
