//! Endpoints in memory. A check that connects to one gets one end of a pipe, and a server at the other, which behaves as the test
//! says at that moment.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use gateway::data::health::{Connect, Connected, Peer, Speak, Target};
use tokio::{io::DuplexStream, sync::watch, time::Instant};

use super::server::{Mood, Seen, serve};

#[derive(Clone, Default)]
pub struct Network(Arc<Shared>);

#[derive(Default)]
struct Shared {
    moods: Mutex<HashMap<SocketAddr, Mood>>,
    connections: Mutex<Vec<(SocketAddr, Instant)>>,
    seen: Mutex<Vec<Seen>>,
}

impl Network {
    pub fn mood(&self, endpoint: &Endpoint, mood: Mood) {
        self.0.moods.lock().unwrap().insert(endpoint.address, mood);
    }

    /// When an endpoint was checked.
    pub fn checks(&self, endpoint: &Endpoint) -> Vec<Instant> {
        let all = self.0.connections.lock().unwrap();
        let of = all
            .iter()
            .filter(|(address, _)| *address == endpoint.address);
        of.map(|(_, at)| *at).collect()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }
}

impl Connect for Network {
    type Io = DuplexStream;

    async fn connect(&self, peer: &Peer, speak: Speak) -> io::Result<Connected<DuplexStream>> {
        let address = peer.address;
        self.0
            .connections
            .lock()
            .unwrap()
            .push((address, Instant::now()));
        let mood = self.0.moods.lock().unwrap().get(&address).copied();
        match mood.unwrap_or(Mood::Status(200)) {
            Mood::Refuses => Err(io::ErrorKind::ConnectionRefused.into()),
            mood => {
                let (io, other) = tokio::io::duplex(16 * 1024);
                let shared = Arc::clone(&self.0);
                let seen = move |request| shared.seen.lock().unwrap().push(request);
                tokio::spawn(serve(other, mood, seen));
                let http2 = speak == Speak::Http2;
                Ok(Connected { io, http2 })
            }
        }
    }
}

/// An endpoint, and everything that was said of it.
pub struct Endpoint {
    pub address: SocketAddr,
    said: watch::Sender<Vec<(bool, Instant)>>,
}

impl Endpoint {
    pub fn new(last: u8) -> Arc<Self> {
        Self::at(([10, 0, 0, last], 8080).into())
    }

    pub fn at(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            address,
            said: watch::Sender::default(),
        })
    }

    /// What was said of it, in turn.
    pub fn said(&self) -> Vec<bool> {
        self.said
            .borrow()
            .iter()
            .map(|(healthy, _)| *healthy)
            .collect()
    }

    /// Waits until this is what was said last; returns when.
    pub async fn until(&self, healthy: bool) -> Instant {
        let mut said = self.said.subscribe();
        let is = |said: &Vec<(bool, Instant)>| said.last().is_some_and(|last| last.0 == healthy);
        let deadline = std::time::Duration::from_secs(120);
        let met = tokio::time::timeout(deadline, said.wait_for(is)).await;
        let said = met.expect("gave up waiting for what is said of an endpoint");
        said.unwrap().last().unwrap().1
    }
}

impl Target for Endpoint {
    fn peer(&self) -> Peer {
        Peer {
            host: "shop.test".into(),
            address: self.address,
            https: false,
        }
    }

    fn set_healthy(&self, healthy: bool) {
        self.said
            .send_modify(|said| said.push((healthy, Instant::now())));
    }
}
