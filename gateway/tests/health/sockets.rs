//! Over sockets, in real time.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gateway::{
    config::model::{HealthCheck, HealthKind, Protocol},
    data::health::{Peer, Plain, Target},
};
use tokio::net::TcpListener;

use crate::support::{
    checks::{config, http, start},
    endpoints::Endpoint,
    server::{Mood, serve},
};

fn quick(kind: HealthKind) -> HealthCheck {
    HealthCheck {
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(10),
        ..config(kind)
    }
}

#[tokio::test]
async fn a_listener_that_goes_and_comes_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = Endpoint::at(address);
    let checked = start(quick(HealthKind::Tcp), Protocol::Http1, Plain, &[&endpoint]);
    endpoint.until(true).await;
    drop(listener);
    endpoint.until(false).await;
    assert!(
        checked.last_error().starts_with("cannot connect"),
        "{}",
        checked.last_error()
    );
    let _listener = TcpListener::bind(address).await.unwrap();
    endpoint.until(true).await;
    checked.stop().await;
}

#[tokio::test]
async fn http_and_grpc_over_plain_tcp() {
    for (kind, protocol, mood) in [
        (http(), Protocol::Http1, Mood::Status(204)),
        (http(), Protocol::Http2, Mood::Status(204)),
        (
            HealthKind::Grpc("".into()),
            Protocol::Http2,
            Mood::Serving(1),
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::at(listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            loop {
                let (io, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(io, mood, |_| {}));
            }
        });
        let _checked = start(quick(kind), protocol, Plain, &[&endpoint]);
        endpoint.until(true).await;
        server.abort();
        endpoint.until(false).await;
    }
}

/// An endpoint with TLS.
struct Https(Arc<Endpoint>);

impl Target for Https {
    fn peer(&self) -> Peer {
        Peer {
            https: true,
            ..self.0.peer()
        }
    }
    fn set_healthy(&self, healthy: bool) {
        self.0.set_healthy(healthy);
    }
}

#[tokio::test]
async fn plain_does_not_pretend_to_speak_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let endpoint = Arc::new(Https(Endpoint::at(address)));
    let checked = start(quick(http()), Protocol::Auto, Plain, &[&endpoint]);
    endpoint.0.until(false).await;
    assert!(checked.last_error().contains("no TLS"));
}
