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
    health::{Checks, Connect, Connected, Peer, Speak, Target},
    tls::{Connector, Stream},
    upstream::Shared,
};
use crate::config::model::{Discovery, Protocol};

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
            connect: AsRequestsDo(upstream.tls.clone()),
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

/// Connects as requests do: with the same trust, and to a name that discovery has not resolved at any of its addresses.
#[derive(Debug, Clone)]
struct AsRequestsDo(Option<Arc<Connector>>);

impl Connect for AsRequestsDo {
    type Io = Stream;

    async fn connect(&self, peer: &Peer, speak: Speak) -> io::Result<Connected<Stream>> {
        let stream = if peer.address.ip() == UNRESOLVED {
            TcpStream::connect((&*peer.host, peer.address.port())).await?
        } else {
            TcpStream::connect(peer.address).await?
        };
        // A check is one small write and one small answer.
        stream.set_nodelay(true)?;
        if !peer.https {
            return Ok(Connected {
                io: Stream::Plain(stream),
                http2: speak == Speak::Http2,
            });
        }
        let Some(connector) = &self.0 else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let protocol = match speak {
            Speak::Http1 => Protocol::Http1,
            Speak::Http2 => Protocol::Http2,
            Speak::Either => Protocol::Auto,
        };
        let io = connector.connect(stream, &peer.host, protocol).await?;
        Ok(Connected {
            http2: io.agreed_on_http2(),
            io,
        })
    }
}
