//! Endpoints that are found by DNS, change under load, and stay when the name server dies.

use std::time::Duration;

use crate::support::{
    backend::Backend,
    gateway::Gateway,
    load::{Load, Manner, all_well},
    name_server::{Mood, NameServer},
    poll::until,
    setup::{GUARDED, alone, with},
};

struct Named {
    server: NameServer,
    backends: Vec<Backend>,
    gateway: Gateway,
}

impl Named {
    /// Four backends, of which the name has the first two.
    async fn start() -> Self {
        let server = NameServer::start().await;
        let first = Backend::start().await;
        let port = first.address.port();
        let mut backends = vec![first];
        for _ in 0..3 {
            backends.push(Backend::on(port).await);
        }
        name(&server, &backends[..2]);
        let discovery = format!(
            "discovery = {{ kind = \"dns\", name = \"shop.test\", port = {port}, nameserver = \"{}\", ttl_min = \"100ms\", ttl_max = \"200ms\", timeout = \"500ms\" }}\n{GUARDED}",
            server.address
        );
        let gateway = with(&discovery, &[]).await;
        Self {
            server,
            backends,
            gateway,
        }
    }

    async fn is_used(&mut self, number: usize) {
        let before = self.backends[number].count().await;
        until("it is used", async || {
            (self.backends[number].count().await > before + 20).then_some(())
        })
        .await;
    }
}

fn name(server: &NameServer, backends: &[Backend]) {
    let addresses: Vec<_> = backends
        .iter()
        .map(|backend| backend.address.ip().to_string())
        .collect();
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    server.host("shop.test.", 1, &addresses);
}

#[tokio::test]
async fn a_change_of_addresses() {
    let _alone = alone().await;
    let mut named = Named::start().await;
    let load = Load::start(named.gateway.http, 6, Manner::pausing(5));
    named.is_used(0).await;
    named.is_used(1).await;
    for round in 0..4 {
        // All are others than before.
        let old = [0, 2][round % 2];
        let new = 2 - old;
        name(&named.server, &named.backends[new..new + 2]);
        named.is_used(new).await;
        named.is_used(new + 1).await;
        // What was under way there comes to its end; then they can go.
        load.further(30).await;
        let mut before = Vec::new();
        for number in [old, old + 1] {
            before.push(named.backends[number].count().await);
        }
        load.further(100).await;
        for (number, before) in [old, old + 1].into_iter().zip(before) {
            assert_eq!(named.backends[number].count().await, before);
            named.backends[number].kill().await;
        }
        load.further(50).await;
        for number in [old, old + 1] {
            named.backends[number].revive().await;
        }
    }
    all_well(&load.end().await);
}

#[tokio::test]
async fn the_death_of_the_name_server() {
    let _alone = alone().await;
    let mut named = Named::start().await;
    let load = Load::start(named.gateway.http, 6, Manner::pausing(5));
    named.is_used(0).await;
    for mood in [Mood::Silent, Mood::Fails, Mood::Garbage] {
        named.server.mood(mood);
        tokio::time::sleep(Duration::from_secs(1)).await;
        named.is_used(0).await;
        named.is_used(1).await;
    }
    let Named {
        server,
        mut backends,
        gateway,
    } = named;
    drop(server);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = backends[0].count().await;
    load.further(200).await;
    assert!(backends[0].count().await > before);
    assert_eq!(backends[2].count().await, 0);
    all_well(&load.end().await);
    drop(gateway);
}
