//! A product service whose failures the test chooses.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Healthy,
    /// Answers this status at once.
    Status(u16),
    /// Answers nothing while the mode lasts.
    Hang,
    /// A 200 whose body is no product.
    Nonsense,
}

/// Runs on a thread of its own, so that it answers while a test blocks.
pub struct FakeProducts {
    address: String,
    mode: watch::Sender<Mode>,
    shared: Shared,
}

#[derive(Clone)]
struct Shared {
    mode: watch::Receiver<Mode>,
    calls: Arc<AtomicUsize>,
    headers: Arc<std::sync::Mutex<Vec<http::HeaderMap>>>,
    gone: Arc<AtomicUsize>,
}

impl FakeProducts {
    pub fn start() -> FakeProducts {
        FakeProducts::start_in(Mode::Healthy)
    }

    pub fn start_in(mode: Mode) -> FakeProducts {
        let (mode, receiver) = watch::channel(mode);
        let shared = Shared {
            mode: receiver,
            calls: Arc::default(),
            headers: Arc::default(),
            gone: Arc::default(),
        };
        let router = Router::new()
            .route("/products", get(all))
            .route("/products/{id}", get(one))
            .with_state(shared.clone());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        FakeProducts {
            address,
            mode,
            shared,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Requests for one product so far.
    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// The headers of those requests.
    pub fn headers(&self) -> Vec<http::HeaderMap> {
        self.shared.headers.lock().unwrap().clone()
    }

    /// Takes a product out of the catalog.
    pub fn remove(&self, id: usize) {
        self.shared.gone.store(id, Ordering::SeqCst);
    }
}

impl Shared {
    /// The answer that the mode imposes, or `None` for the true one.
    async fn imposed(&self) -> Option<Response> {
        let mut mode = self.mode.clone();
        let now = *mode.borrow_and_update();
        match now {
            Mode::Healthy => None,
            Mode::Status(status) => Some(
                (
                    StatusCode::from_u16(status).unwrap(),
                    Json(json!({"detail": "imposed"})),
                )
                    .into_response(),
            ),
            Mode::Nonsense => Some(Json(json!({"id": "one"})).into_response()),
            Mode::Hang => {
                let _ = mode.changed().await;
                Some(StatusCode::SERVICE_UNAVAILABLE.into_response())
            }
        }
    }

    fn catalog(&self) -> Vec<Value> {
        let gone = self.gone.load(Ordering::SeqCst);
        [
            ("Laptop", 999.99),
            ("Mouse", 29.99),
            ("Keyboard", 79.99),
            ("Monitor", 199.99),
            ("Headphones", 149.99),
        ]
        .iter()
        .enumerate()
        .map(|(index, (name, price))| json!({"id": index + 1, "name": name, "price": price, "stock": 10}))
        .filter(|product| product["id"] != gone)
        .collect()
    }
}

async fn all(State(shared): State<Shared>) -> Response {
    match shared.imposed().await {
        Some(response) => response,
        None => Json(shared.catalog()).into_response(),
    }
}

async fn one(
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    headers: http::HeaderMap,
) -> Response {
    shared.calls.fetch_add(1, Ordering::SeqCst);
    shared.headers.lock().unwrap().push(headers);
    if let Some(response) = shared.imposed().await {
        return response;
    }
    match shared
        .catalog()
        .into_iter()
        .find(|product| product["id"] == id)
    {
        Some(product) => Json(product).into_response(),
        None => (
            StatusCode::NOT_FOUND,
            Json(json!({"detail": "no such product"})),
        )
            .into_response(),
    }
}
