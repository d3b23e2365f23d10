//! The users' HTTP client.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// Far above any answer of the shop.
const ANSWER_LIMIT: usize = 4 << 20;

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("no answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    #[error("no connection")]
    NoConnection,
    #[error("connection broken before the answer")]
    Broken,
    #[error("connection broken within the answer")]
    BodyBroken,
    #[error("not a request: {0}")]
    Malformed(String),
}

#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    time_out: Duration,
}

impl Client {
    /// `time_out` bounds a call from connecting to the last byte of the body.
    pub fn new(time_out: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { pool, time_out }
    }

    pub async fn call(
        &self,
        to: SocketAddr,
        method: &Method,
        path: &str,
        json: Option<Bytes>,
    ) -> Result<Answer, CallError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{to}{path}"));
        if json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(json.unwrap_or_default()))
            .map_err(|error| CallError::Malformed(error.to_string()))?;
        match tokio::time::timeout(self.time_out, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::TimedOut(self.time_out)),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
        let response = self.pool.request(request).await.map_err(|error| {
            if error.is_connect() {
                CallError::NoConnection
            } else {
                CallError::Broken
            }
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_LIMIT)
            .collect()
            .await;
        let body = body.map_err(|_| CallError::BodyBroken)?.to_bytes();
        Ok(Answer { status, body })
    }
}

/// How a failed status is counted: `503 Service Unavailable`.
pub fn reason_of_status(status: StatusCode) -> String {
    status.to_string()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that reads one request, writes `answer`, and keeps or closes the connection.
    async fn server(answer: &'static str, keep: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            if keep {
                std::future::pending::<()>().await;
            }
        });
        at
    }

    async fn get(at: SocketAddr, time_out: Duration) -> Result<Answer, CallError> {
        Client::new(time_out)
            .call(at, &Method::GET, "/", None)
            .await
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn an_answer_comes_with_its_status_and_body() {
        let at = server(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno",
            true,
        )
        .await;
        let answer = get(at, LONG).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.body[..]),
            (503, &b"no"[..])
        );
    }

    #[tokio::test]
    async fn silence_is_a_time_out_also_within_the_body() {
        let short = Duration::from_millis(50);
        assert_eq!(
            get(server("", true).await, short).await.unwrap_err(),
            CallError::TimedOut(short)
        );
        let stalled = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nn", true).await;
        assert_eq!(
            get(stalled, short).await.unwrap_err(),
            CallError::TimedOut(short)
        );
    }

    #[tokio::test]
    async fn broken_connections_are_told_apart() {
        assert_eq!(
            get(server("", false).await, LONG).await.unwrap_err(),
            CallError::Broken
        );
        let cut = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nn", false).await;
        assert_eq!(get(cut, LONG).await.unwrap_err(), CallError::BodyBroken);
        let closed = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        assert_eq!(
            get(closed, LONG).await.unwrap_err(),
            CallError::NoConnection
        );
    }
}
