//! A server that does what the test tells it to, and remembers what it was asked.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::body::Body;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::poll::until;

/// What to answer.
#[derive(Clone)]
pub enum Behaviour {
    /// 200 with this JSON.
    Json(&'static str),
    /// This status, and these headers.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// Never anything.
    Hang,
    /// A head that promises more than the body that breaks off.
    Truncate,
    /// 200 and something that is no JSON.
    Garbage,
    /// 200 and JSON without end.
    Endless,
    /// The head, and then nothing more.
    StallBody,
    /// The request's body, as it comes in.
    Echo,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
}

pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    seen: Mutex<Vec<Seen>>,
    cancelled: AtomicUsize,
}

/// Counts the calls that were given up by whoever made them.
struct Unfinished {
    shared: Arc<Shared>,
    finished: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Upstream {
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            seen: Mutex::default(),
            cancelled: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let shared = Arc::clone(&shared);
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    tokio::spawn(connection);
                }
            }
        });
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// `http://` and its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many requests so far.
    pub fn arrivals(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    /// Waits until this many calls have been given up while the answer was not finished.
    pub async fn cancelled(&self, calls: usize) {
        until("the upstream call is cancelled", async || {
            (self.shared.cancelled.load(Ordering::SeqCst) >= calls).then_some(())
        })
        .await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let mut unfinished = Unfinished {
        shared: Arc::clone(&shared),
        finished: false,
    };
    shared.seen.lock().unwrap().push(Seen {
        method: request.method().clone(),
        target: request.uri().to_string(),
        headers: request.headers().clone(),
    });
    let behaviour = shared.behaviour.lock().unwrap().clone();
    let json = |body: Body| {
        Response::builder()
            .header("content-type", "application/json")
            .body(body)
            .unwrap()
    };
    let response = match behaviour {
        Behaviour::Json(text) => {
            if request.into_body().collect().await.is_err() {
                drop(unfinished);
                return Ok(Response::new(Body::empty()));
            }
            json(Body::from(text))
        }
        Behaviour::Status(status, headers) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response
                .body(Body::from("an upstream's own words"))
                .unwrap()
        }
        Behaviour::Hang => {
            // Whoever reads no body does not notice that there will be no more of it.
            if request.into_body().collect().await.is_ok() {
                std::future::pending::<()>().await;
            }
            drop(unfinished);
            return Ok(Response::new(Body::empty()));
        }
        Behaviour::Truncate => {
            let broken_off = stream::once(async {
                // What came before is sent when there is nothing more for the moment.
                tokio::task::yield_now().await;
                Err(std::io::Error::other("broken off"))
            });
            let chunks = stream::once(async { Ok("{\"id\":1,") }).chain(broken_off);
            let mut response = json(Body::from_stream(chunks));
            response
                .headers_mut()
                .insert("content-length", "1000".parse().unwrap());
            response
        }
        Behaviour::Garbage => json(Body::from("<html>not what you wanted</html>")),
        Behaviour::Endless => {
            let chunk = vec![b' '; 64 * 1024];
            json(Body::from_stream(stream::repeat_with(move || {
                Ok::<_, Infallible>(chunk.clone())
            })))
        }
        Behaviour::StallBody => {
            // The call lasts for as long as its body is wanted.
            let stalled = stream::once(async move {
                let _unfinished = unfinished;
                std::future::pending::<Result<&str, Infallible>>().await
            });
            return Ok(json(Body::from_stream(
                stream::once(async { Ok("{") }).chain(stalled),
            )));
        }
        Behaviour::Echo => Response::new(Body::new(request.into_body())),
    };
    unfinished.finished = true;
    Ok(response)
}
