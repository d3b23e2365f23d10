//! One check of one endpoint. Each is on a connection of its own: what is asked is whether the endpoint takes new ones, and a
//! connection that is kept would answer long after the listener behind it has gone.

mod drive;
mod grpc;
mod http;
mod http1;
mod http2;

use std::{io, time::Duration};

use ::http::StatusCode;
use tokio::{net::TcpStream, time::timeout};

use super::connect::{Connect, Peer};
use crate::config::model::{HealthKind, Protocol};
use grpc::GrpcStatus;

/// What is read of an answer at most.
const LARGEST: usize = 64 * 1024;
/// What checks call themselves.
const USER_AGENT: &str = "gateway-health-check";

/// Why an endpoint did not pass.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Connection and answer together took too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The exchange broke off.
    #[error("HTTP/1.1: {0}")]
    Http1(#[from] hyper::Error),
    /// The exchange broke off.
    #[error("HTTP/2: {0}")]
    Http2(#[from] h2::Error),
    /// The request could not be made.
    #[error("request: {0}")]
    Request(#[from] ::http::Error),
    /// It answers, but not well.
    #[error("answers {0}")]
    Status(StatusCode),
    /// An answer that is none.
    #[error("{0}")]
    Malformed(&'static str),
    /// A gRPC call that failed.
    #[error("answers gRPC status {0}")]
    Grpc(GrpcStatus),
    /// A service that says it is not ready.
    #[error("the service says {0}")]
    NotServing(&'static str),
    /// A fault of the check itself.
    #[error("the check panicked")]
    Panicked,
}

/// Checks once.
///
/// # Errors
///
/// Why the endpoint did not pass.
pub(super) async fn check<C: Connect>(
    connect: &C,
    kind: &HealthKind,
    protocol: Protocol,
    peer: &Peer,
    limit: Duration,
) -> Result<(), CheckError> {
    let check = async {
        match kind {
            HealthKind::Tcp => match TcpStream::connect(peer.address).await {
                Ok(_) => Ok(()),
                Err(error) => Err(CheckError::Connect(error)),
            },
            HealthKind::Http(path) => http::check(connect, protocol, peer, path).await,
            HealthKind::Grpc(service) => grpc::check(connect, peer, service, limit).await,
        }
    };
    match timeout(limit, check).await {
        Ok(result) => result,
        Err(_) => Err(CheckError::TimedOut(limit)),
    }
}
