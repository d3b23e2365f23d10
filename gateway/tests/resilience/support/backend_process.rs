//! A backend's own process. It is this test program again, told by its environment to be a backend, so that it can be killed and
//! stopped as a real one.
//!
//! It is told on its input how to behave, and asked what has arrived; its answers are the lines that begin with `@`. It ends with its
//! input.

use std::{
    io::{BufRead, Write},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::body::Body;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::Semaphore};

/// Where a process is to listen, if it is to be a backend.
pub const LISTEN: &str = "RESILIENCE_BACKEND_LISTEN";
/// And how it is to behave at first.
pub const MODE: &str = "RESILIENCE_BACKEND_MODE";
/// What is sent as an answer.
pub const BODY: &str = "all of the answer, to its last byte";

/// How a request was dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Not yet.
    Open,
    /// The head of an answer was given.
    Answered,
    /// Whoever asked went away before.
    GivenUp,
}

/// A request that has arrived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arrival {
    /// Microseconds since 1970.
    pub at: u64,
    pub method: String,
    pub path: String,
    /// Bytes of its body that have come.
    pub body: usize,
    pub end: End,
}

/// How to behave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Mode {
    /// Answers.
    Well,
    /// Answers after this many milliseconds.
    Slow(u64),
    /// Answers with this status, and `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// Answers nothing.
    Hang,
    /// A head that promises more than the body that breaks off.
    Truncate,
    /// Closes the connection instead of answering.
    Break,
    /// Is well and broken in turn, each for so many milliseconds.
    Flap(u64),
    /// Each answer takes so many milliseconds and one of so many places; others wait for a place.
    Places(u64, usize),
}

impl Mode {
    fn with_places(self) -> (Self, Arc<Semaphore>) {
        let places = match self {
            Self::Places(_, places) => places,
            _ => 1,
        };
        (self, Arc::new(Semaphore::new(places)))
    }
}

pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_micros() as u64
}

struct Shared {
    mode: Mutex<(Mode, Arc<Semaphore>)>,
    arrivals: Mutex<Vec<Arrival>>,
}

#[test]
#[ignore = "it is a backend, and started by the tests that need one"]
fn process() {
    let Ok(listen) = std::env::var(LISTEN) else {
        return;
    };
    let listen: SocketAddr = listen.parse().unwrap();
    let mode = std::env::var(MODE).unwrap();
    let shared = Arc::new(Shared {
        mode: Mutex::new(serde_json::from_str::<Mode>(&mode).unwrap().with_places()),
        arrivals: Mutex::default(),
    });
    std::thread::spawn({
        let shared = Arc::clone(&shared);
        move || obey(&shared)
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.unwrap();
        say(&listener.local_addr().unwrap().to_string());
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "\n@{line}");
    let _ = out.flush();
}

fn obey(shared: &Shared) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if let Some(mode) = line.strip_prefix("mode ") {
            let mode: Mode = serde_json::from_str(mode).unwrap();
            *shared.mode.lock().unwrap() = mode.with_places();
            say("done");
        } else {
            let arrivals = serde_json::to_string(&*shared.arrivals.lock().unwrap()).unwrap();
            say(&arrivals);
        }
    }
    std::process::exit(0);
}

/// A request that is being dealt with.
struct Dealing {
    shared: Arc<Shared>,
    number: usize,
    end: End,
}

impl Drop for Dealing {
    fn drop(&mut self) {
        self.shared.arrivals.lock().unwrap()[self.number].end = self.end;
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::io::Error> {
    let number = {
        let mut arrivals = shared.arrivals.lock().unwrap();
        arrivals.push(Arrival {
            at: now(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            body: 0,
            end: End::Open,
        });
        arrivals.len() - 1
    };
    let mut dealing = Dealing {
        shared: Arc::clone(&shared),
        number,
        end: End::GivenUp,
    };
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(std::io::Error::other("the request broke off"));
        };
        let more = frame.data_ref().map_or(0, |data| data.len());
        shared.arrivals.lock().unwrap()[number].body += more;
    }
    let (mode, places) = shared.mode.lock().unwrap().clone();
    let whole = || Response::new(Body::from(BODY));
    let response = match mode {
        Mode::Well => whole(),
        Mode::Slow(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            whole()
        }
        Mode::Status(status, retry_after) => {
            let mut response = Response::builder().status(status);
            if let Some(seconds) = retry_after {
                response = response.header("retry-after", seconds);
            }
            response.body(Body::from("no")).unwrap()
        }
        Mode::Hang => std::future::pending().await,
        Mode::Truncate => truncated(),
        Mode::Break => return Err(std::io::Error::other("told to")),
        Mode::Flap(ms) if (now() / 1000 / ms).is_multiple_of(2) => {
            return Err(std::io::Error::other("flapping"));
        }
        Mode::Flap(_) => whole(),
        Mode::Places(ms, _) => {
            let _place = places.acquire().await;
            tokio::time::sleep(Duration::from_millis(ms)).await;
            whole()
        }
    };
    dealing.end = End::Answered;
    Ok(response)
}

fn truncated() -> Response<Body> {
    let broken_off = stream::once(async {
        // What came before is sent when there is nothing more for the moment.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("told to"))
    });
    let chunks = stream::once(async { Ok::<_, std::io::Error>("all of the") }).chain(broken_off);
    Response::builder()
        .header("content-length", BODY.len())
        .body(Body::from_stream(chunks))
        .unwrap()
}
