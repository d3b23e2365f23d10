//! A client that shows whole answers.

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use service_kit::client::{ClientSettings, HttpClient};
use tower::ServiceExt;

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The body, if this is a well-formed problem of that status.
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], status, "{self:?}");
        for member in ["type", "title", "detail"] {
            assert!(
                problem[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{member}: {self:?}"
            );
        }
        problem
    }

    /// The body of a 200.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
        self.json()
    }
}

#[derive(Debug, Clone)]
pub struct Client(HttpClient);

impl Client {
    pub fn new(address: &str) -> Client {
        let base = format!("http://{address}").parse().unwrap();
        Client(HttpClient::new(base, ClientSettings::default()))
    }

    /// An error is a connection without an answer.
    pub async fn try_send(&self, request: Request<Body>) -> Result<Answer, service_kit::BoxError> {
        let response = self.0.clone().oneshot(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.to_vec())?,
        })
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.try_send(request).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(post(path, body)).await
    }

    /// Adds to a cart of the variant.
    pub async fn add(&self, variant: &str, user: &str, product: i64, quantity: i64) -> Answer {
        self.post(
            &format!("/{variant}/cart/add"),
            add_body(user, product, quantity),
        )
        .await
    }

    pub async fn view(&self, variant: &str, user: &str) -> Answer {
        self.get(&format!("/{variant}/cart/view?user_id={user}"))
            .await
    }

    /// The breaker's state, as the fixed variant's health says.
    pub async fn circuit(&self) -> String {
        let health = self.get("/fixed/health").await.ok();
        health["circuit_breaker_state"].as_str().unwrap().to_owned()
    }
}

pub fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path)
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

pub fn add_body(user: &str, product: i64, quantity: i64) -> String {
    json!({"user_id": user, "product_id": product, "quantity": quantity}).to_string()
}
