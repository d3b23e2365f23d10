//! What goes on beside requests: upstreams' endpoints are looked for and checked.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{net::TcpStream, runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    discovery::{self, DiscoveredEndpoint},
    endpoints::{Endpoint, EndpointKey, EndpointSpec, Endpoints},
    health::{Checks, Connect, Connected, Peer, Plain, Speak, Target},
    upstream::Shared,
};
use crate::config::model::Discovery;

/// Begins to look for an upstream's endpoints and to check them, until told to stop. Returns when the first are known, or it has taken
/// too long.
pub async fn begin(upstream: &Shared, runtime: &Handle, stop: &CancellationToken) {
    let name = upstream.config.name.clone();
    let (sender, targets) = watch::channel(present(&upstream.endpoints));
    let sender = Arc::new(sender);
    let mut following = match &upstream.config.discovery {
        // Known, and resolved at each connection.
        Discovery::Static(_) => None,
        discovery => {
            let endpoints = upstream.endpoints.clone();
            let sender = sender.clone();
            let publish = move |found: Vec<DiscoveredEndpoint>| {
                endpoints.update(found.into_iter().map(spec));
                sender.send_replace(present(&endpoints));
            };
            Some(discovery::follow(
                name.clone(),
                discovery,
                publish,
                runtime,
                stop.clone(),
            ))
        }
    };
    if let Some(config) = upstream.config.health.clone() {
        let checks = Checks {
            upstream: name.clone(),
            config,
            protocol: upstream.config.protocol,
            connect: ByNameOrAddress,
        };
        let _checking = checks.start(targets, runtime, stop.clone());
        // The targets come to an end with their sender.
        let (keep, stop) = (sender, stop.clone());
        runtime.spawn(async move {
            stop.cancelled().await;
            drop(keep);
        });
    }
    if let Some(following) = &mut following
        && !following.first_answer().await
    {
        tracing::warn!(upstream = &*name, "no endpoints have been found yet");
    }
}

fn present(endpoints: &Endpoints) -> Arc<[Arc<Endpoint>]> {
    endpoints.load().endpoints().cloned().collect()
}

fn spec(found: DiscoveredEndpoint) -> EndpointSpec {
    EndpointSpec {
        key: EndpointKey {
            host: found.host,
            port: found.port,
            https: found.https,
            address: Some(found.address),
        },
        weight: found.weight,
        zone: found.zone,
    }
}

impl Target for Endpoint {
    fn peer(&self) -> Peer {
        let key = self.key();
        let unresolved = || {
            let ip = key.host.parse().unwrap_or(UNRESOLVED);
            SocketAddr::new(ip, key.port)
        };
        Peer {
            host: key.host.clone(),
            address: key.address.unwrap_or_else(unresolved),
            https: key.https,
        }
    }

    fn set_healthy(&self, healthy: bool) {
        Endpoint::set_healthy(self, healthy);
    }
}

/// Stands for the address of an endpoint that is known by its name alone. Nobody can be reached at it.
const UNRESOLVED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Connects as requests do: to a name that discovery has not resolved at any of its addresses.
#[derive(Debug, Clone, Copy)]
struct ByNameOrAddress;

impl Connect for ByNameOrAddress {
    type Io = TcpStream;

    async fn connect(&self, peer: &Peer, speak: Speak) -> io::Result<Connected<TcpStream>> {
        if peer.https || peer.address.ip() != UNRESOLVED {
            return Plain.connect(peer, speak).await;
        }
        let io = TcpStream::connect((&*peer.host, peer.address.port())).await?;
        io.set_nodelay(true)?;
        Ok(Connected {
            io,
            http2: speak == Speak::Http2,
        })
    }
}
