//! HTTP clients: one that keeps to the rules, and one that sends whatever bytes it is given.

use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use http::{HeaderMap, Request, Response, StatusCode, header::HOST};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::poll::soon;

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Asserts that this is a problem with all its members, and gives its detail.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{:?}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let body = self.json();
        assert_eq!(body["status"], status);
        assert!(
            body["type"].is_string() && body["title"].is_string(),
            "{body}"
        );
        body["detail"].as_str().unwrap().to_owned()
    }
}

/// Sends a request on a connection of its own and gives the response as soon as its head is there.
pub async fn send(
    to: SocketAddr,
    mut request: Request<Body>,
) -> Result<Response<Incoming>, hyper::Error> {
    if !request.headers().contains_key(HOST) {
        let host = to.to_string().parse().unwrap();
        request.headers_mut().insert(HOST, host);
    }
    let stream = TcpStream::connect(to).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    sender.send_request(request).await
}

/// Sends a request and reads the whole response.
pub async fn ask(to: SocketAddr, request: Request<Body>) -> Answer {
    let exchange = async {
        let response = send(to, request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    };
    soon("an answer", exchange).await
}

/// `GET`s a path.
pub async fn get(to: SocketAddr, target: &str) -> Answer {
    ask(to, Request::get(target).body(Body::empty()).unwrap()).await
}

/// Sends bytes and reads until the other side closes. The bytes must ask for that, or be refused.
pub async fn raw(to: SocketAddr, bytes: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A refusal may close with bytes of ours unread, which resets the connection after the answer.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    soon("a raw answer", exchange).await
}
