use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::in_time;

/// One request on a connection of its own.
pub struct Request(http::Request<Full<Bytes>>);

/// A whole response.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    pub fn new(method: &str, path_and_query: &str) -> Self {
        Self(
            http::Request::builder()
                .method(method)
                .uri(path_and_query)
                .body(Full::default())
                .unwrap(),
        )
    }

    pub fn get(path_and_query: &str) -> Self {
        Self::new("GET", path_and_query)
    }

    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self(self.0.map(|_| Full::new(body.into())))
    }

    pub async fn send(self, address: SocketAddr) -> Reply {
        let what = format!("{} {}", self.0.method(), self.0.uri());
        in_time(&what, self.exchange(address))
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    async fn exchange(
        mut self,
        address: SocketAddr,
    ) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
        self.0
            .headers_mut()
            .entry(header::HOST)
            .or_insert(address.to_string().parse()?);
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let (head, body) = sender.send_request(self.0).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        drop(sender);
        connection.await??;
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Checks that this is a problem document with this status, and returns its detail.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["type"].is_string(), "{problem}");
        assert!(
            problem["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty()),
            "{problem}"
        );
        let detail = problem["detail"]
            .as_str()
            .unwrap_or_else(|| panic!("no detail in {problem}"));
        assert!(!detail.is_empty(), "{problem}");
        detail.to_owned()
    }
}

/// Sends these bytes as they are and returns everything that comes back until the connection closes.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    in_time("the connection closes after a raw request", async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
}
