//! product-svc over HTTP.

use std::task::{Context, Poll};

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use service_kit::client;
use tower::{Service, ServiceExt};
use tower_breaker::BoxError;

use super::{ProductError, Wanted};
use crate::domain::{Cents, Offer, Product};

/// Far above any product; bounds what a broken answer can cost.
const PRODUCT_LIMIT: usize = 64 << 10;

/// Likewise for the whole catalog.
const CATALOG_LIMIT: usize = 16 << 20;

/// An error answer up to this size is read to its end, so that its connection can be used again.
const ERROR_BODY_LIMIT: usize = 16 << 10;

/// The longest name that a cart line stores.
const NAME_LIMIT: usize = 1_000;

/// Asks product-svc through any HTTP client.
#[derive(Debug, Clone)]
pub struct ProductClient<H> {
    http: H,
}

impl<H, B> ProductClient<H>
where
    H: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Clone,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    /// A client that sends its requests through `http`, which knows the address.
    pub fn new(http: H) -> ProductClient<H> {
        ProductClient { http }
    }

    /// The whole catalog. Entries that are no usable products are left out, with a warning.
    pub async fn catalog(&self) -> Result<Vec<Product>, BoxError> {
        let response = get(self.http.clone(), "/products".into()).await?;
        if response.status() != StatusCode::OK {
            return Err(refuse(response).await.into());
        }
        let entries: Vec<serde_json::Value> = client::json(response, CATALOG_LIMIT)
            .await
            .map_err(ProductError::from)?;
        Ok(entries
            .into_iter()
            .filter_map(|entry| {
                match serde_json::from_value(entry)
                    .map_err(BoxError::from)
                    .and_then(|p| Ok(check(p)?))
                {
                    Ok(product) => Some(product),
                    Err(error) => {
                        tracing::warn!(%error, "an entry of the catalog was left out");
                        None
                    }
                }
            })
            .collect())
    }
}

impl<H, B> Service<Wanted> for ProductClient<H>
where
    H: Service<Request<Body>, Response = Response<B>, Error = BoxError, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data: Send> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Option<Offer>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Option<Offer>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http
            .poll_ready(cx)
            .map_err(|error| ProductError::Transport(error).into())
    }

    fn call(&mut self, wanted: Wanted) -> Self::Future {
        // The clone stays behind: it is `self.http` that was polled ready.
        let ready = self.http.clone();
        let http = std::mem::replace(&mut self.http, ready);
        Box::pin(async move {
            let response = get(http, format!("/products/{}", wanted.id)).await?;
            match response.status() {
                StatusCode::OK => {
                    let product: Product = client::json(response, PRODUCT_LIMIT)
                        .await
                        .map_err(ProductError::from)?;
                    if product.id != wanted.id {
                        return Err(
                            unusable(&product, "number: it is not the one asked for").into()
                        );
                    }
                    Ok(Some(Offer::live(check(product)?)))
                }
                StatusCode::NOT_FOUND => {
                    drain(response).await;
                    Ok(None)
                }
                _ => Err(refuse(response).await.into()),
            }
        })
    }
}

async fn get<H, B>(http: H, path: String) -> Result<Response<B>, BoxError>
where
    H: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
{
    let request = Request::get(path)
        .header(http::header::ACCEPT, "application/json")
        .body(Body::empty())?;
    http.oneshot(request)
        .await
        .map_err(|error| ProductError::Transport(error).into())
}

fn check(product: Product) -> Result<Product, ProductError> {
    if product.price > Cents::MAX_PRICE {
        return Err(unusable(&product, "price: it is too high"));
    }
    if product.name.is_empty() || product.name.len() > NAME_LIMIT {
        return Err(unusable(&product, "name: it is empty or too long"));
    }
    Ok(product)
}

fn unusable(product: &Product, field: &'static str) -> ProductError {
    ProductError::Unusable {
        id: product.id,
        field,
    }
}

async fn refuse<B: http_body::Body>(response: Response<B>) -> ProductError
where
    B::Error: Into<BoxError>,
{
    let status = response.status();
    drain(response).await;
    ProductError::Status(status)
}

async fn drain<B: http_body::Body>(response: Response<B>)
where
    B::Error: Into<BoxError>,
{
    // Whether it can be read to its end changes nothing about the answer.
    let _ = Limited::new(response.into_body(), ERROR_BODY_LIMIT)
        .collect()
        .await;
}
