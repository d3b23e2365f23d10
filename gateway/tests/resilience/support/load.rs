//! Clients that keep asking, each on a connection of its own, and what they saw.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode, header::HOST};
use http_body_util::BodyExt;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    backend_process::{BODY, now},
    poll::{soon, until},
};

/// What a client saw of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// All of a good answer.
    Well,
    /// Another status than 200. Whether it is a problem that says when to come again.
    Status(StatusCode, bool),
    /// The answer broke off.
    BrokenOff,
    /// Less or something else than what was sent, as if that were all.
    Wrong(String),
    /// No answer.
    Failed(String),
}

#[derive(Debug, Clone)]
pub struct Sample {
    /// Microseconds since 1970, when it was asked.
    pub at: u64,
    pub took: Duration,
    pub seen: Seen,
}

pub struct Load {
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

/// How each client asks.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Between an answer and the next request.
    pub pause: Duration,
    /// Whether the connection is kept for the next request.
    pub keep: bool,
}

impl Manner {
    pub fn pausing(ms: u64) -> Self {
        Self {
            pause: Duration::from_millis(ms),
            keep: true,
        }
    }

    pub fn anew(ms: u64) -> Self {
        Self {
            keep: false,
            ..Self::pausing(ms)
        }
    }
}

impl Load {
    pub fn start(to: SocketAddr, clients: usize, manner: Manner) -> Self {
        let mut load = Self {
            samples: Arc::default(),
            stop: CancellationToken::new(),
            clients: JoinSet::new(),
        };
        load.more(to, clients, manner);
        load
    }

    /// Further clients.
    pub fn more(&mut self, to: SocketAddr, clients: usize, manner: Manner) {
        for _ in 0..clients {
            let (samples, stop) = (self.samples.clone(), self.stop.clone());
            self.clients.spawn(async move {
                let mut client = Client { to, kept: None };
                while !stop.is_cancelled() {
                    let (at, began) = (now(), Instant::now());
                    let seen = client.ask(manner.keep).await;
                    let took = began.elapsed();
                    samples.lock().unwrap().push(Sample { at, took, seen });
                    tokio::time::sleep(manner.pause).await;
                }
            });
        }
    }

    pub fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.samples.lock().unwrap().len()
    }

    /// Waits until so many more have been answered, however.
    pub async fn further(&self, requests: usize) {
        let from = self.count();
        until("there have been more requests", async || {
            (self.count() >= from + requests).then_some(())
        })
        .await;
    }

    /// No more requests. Returns what was seen, once all have been answered.
    pub async fn end(mut self) -> Vec<Sample> {
        self.stop.cancel();
        soon("the last answers", async {
            while let Some(ended) = self.clients.join_next().await {
                ended.unwrap();
            }
        })
        .await;
        self.samples()
    }
}

/// Those that are not as they should be.
pub fn failures(samples: &[Sample]) -> Vec<&Sample> {
    samples
        .iter()
        .filter(|sample| sample.seen != Seen::Well)
        .collect()
}

/// Asserts that every client was content with every answer.
pub fn all_well(samples: &[Sample]) {
    let failures = failures(samples);
    let some = &failures[..failures.len().min(5)];
    assert!(
        failures.is_empty(),
        "{} of {}: {some:#?}",
        failures.len(),
        samples.len()
    );
}

/// That which this part of all are faster than.
pub fn percentile(samples: &[Duration], part: f64) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let place = ((sorted.len() as f64 * part) as usize).min(sorted.len() - 1);
    sorted[place]
}

struct Client {
    to: SocketAddr,
    kept: Option<SendRequest<Body>>,
}

impl Client {
    async fn ask(&mut self, keep: bool) -> Seen {
        let mut request = Request::get("/thing").body(Body::empty()).unwrap();
        let host = self.to.to_string().parse().unwrap();
        request.headers_mut().insert(HOST, host);
        loop {
            let reused = self.kept.take();
            let is_reused = reused.is_some();
            let mut sender = match reused {
                Some(sender) => sender,
                None => match connect(self.to).await {
                    Ok(sender) => sender,
                    Err(error) => return Seen::Failed(format!("connecting: {error}")),
                },
            };
            let answer = match sender.try_send_request(request).await {
                Ok(answer) => answer,
                // As every client does it: the connection had been closed while nothing was on it.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if is_reused => {
                        request = unsent;
                        continue;
                    }
                    _ => return Seen::Failed(format!("{:?}, reused: {is_reused}", failed.error())),
                },
            };
            let (head, body) = answer.into_parts();
            let Ok(body) = body.collect().await else {
                return Seen::BrokenOff;
            };
            if keep && sender.ready().await.is_ok() {
                self.kept = Some(sender);
            }
            if head.status != StatusCode::OK {
                return Seen::Status(head.status, is_refusal(&head.headers));
            }
            let body = body.to_bytes();
            if body != BODY {
                return Seen::Wrong(String::from_utf8_lossy(&body).into_owned());
            }
            return Seen::Well;
        }
    }
}

fn is_refusal(headers: &HeaderMap) -> bool {
    let kind = headers.get("content-type");
    kind.is_some_and(|kind| kind == "application/problem+json")
        && headers.contains_key("retry-after")
}

async fn connect(to: SocketAddr) -> Result<SendRequest<Body>, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
