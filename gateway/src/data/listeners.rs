//! The sockets of all listeners.

use std::{net::SocketAddr, sync::Arc};

use service_kit::runtime::{Context, StartError, bind_shared};
use tokio::runtime::Handle;

use super::{
    tls::{Acceptor, Certificate},
    worker::{Front, Socket},
};
use crate::config::model::{Gateway, Listener};

/// Connections that wait to be accepted by a worker.
const BACKLOG: u32 = 4096;

/// For each worker a socket of each listener, the public one first. Certificates are followed from now on.
///
/// # Errors
/// An address cannot be bound, or a certificate cannot be used.
pub fn bind(gateway: &Gateway, context: &Context) -> Result<Vec<Vec<Socket>>, StartError> {
    let public = context
        .take_listener()
        .ok_or("the public listener is missing")?;
    let mut workers: Vec<Vec<Socket>> = Vec::new();
    workers.resize_with(gateway.workers, Vec::new);
    let front = Front {
        name: "listen".into(),
        http2: true,
        tls: None,
    };
    share(&mut workers, public, front)?;
    for listener in &gateway.listeners {
        let failed =
            |error: &dyn std::fmt::Display| format!("listener {:?}: {error}", listener.name);
        let first = bind_shared(listener.address, BACKLOG)
            .map_err(|error| failed(&format_args!("cannot bind {}: {error}", listener.address)))?;
        let front = front_of(listener, context).map_err(|error| failed(&error))?;
        let address = share(&mut workers, first, front)?;
        context.also_listens(&listener.name, address);
        tracing::info!(
            name = &*listener.name,
            %address,
            tls = listener.tls.is_some(),
            http2 = listener.http2,
            "listening"
        );
    }
    Ok(workers)
}

/// Gives the socket to the first worker, and each other worker one with the same address, which is known only now if the port
/// was left to the system.
fn share(
    workers: &mut [Vec<Socket>],
    first: std::net::TcpListener,
    front: Front,
) -> Result<SocketAddr, StartError> {
    let address = first.local_addr()?;
    let front = Arc::new(front);
    let mut first = Some(first);
    for worker in workers {
        let listener = match first.take() {
            Some(first) => first,
            None => bind_shared(address, BACKLOG)?,
        };
        worker.push(Socket {
            listener,
            front: front.clone(),
        });
    }
    Ok(address)
}

fn front_of(listener: &Listener, context: &Context) -> Result<Front, StartError> {
    let tls = match &listener.tls {
        None => None,
        Some(config) => {
            let (certificate, files) = Certificate::read(config)?;
            let acceptor = Acceptor::new(certificate.clone(), listener.http2)?;
            let name = listener.name.clone();
            certificate.follow(name, files, &Handle::current(), context.shutdown());
            Some(acceptor)
        }
    };
    Ok(Front {
        name: listener.name.clone(),
        http2: listener.http2,
        tls,
    })
}
