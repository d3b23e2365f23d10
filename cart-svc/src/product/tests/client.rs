use axum::body::Body;
use http::{Request, Response, StatusCode};
use service_kit::client::JsonError;
use tower::{Service, ServiceExt, service_fn};

use super::*;

/// A client whose upstream answers every request like this.
fn upstream(
    status: u16,
    body: impl Into<String>,
) -> ProductClient<
    impl Service<Request<Body>, Response = Response<Body>, Error = BoxError, Future: Send>
    + Clone
    + Send
    + 'static,
> {
    let body = body.into();
    ProductClient::new(service_fn(move |request: Request<Body>| {
        let body = body.clone();
        async move {
            assert_eq!(request.method(), http::Method::GET);
            assert!(
                request.uri().path().starts_with("/products"),
                "{}",
                request.uri()
            );
            Ok(Response::builder().status(status).body(Body::from(body))?)
        }
    }))
}

async fn error(status: u16, body: impl Into<String>) -> ProductError {
    let error = upstream(status, body)
        .oneshot(Wanted::new(id(1)))
        .await
        .unwrap_err();
    *error.downcast::<ProductError>().unwrap()
}

#[tokio::test]
async fn a_product_is_read_whatever_else_the_answer_holds() {
    let body = r#"{"id":1,"name":"Laptop","price":999.99,"stock":10,"colour":"grey"}"#;
    let offer = upstream(200, body)
        .oneshot(Wanted::new(id(1)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(offer.product.price, Cents::new(99_999).unwrap());
    assert!(!offer.freshness.is_stale());
}

#[tokio::test]
async fn only_404_means_that_there_is_none() {
    assert_eq!(
        upstream(404, "{}")
            .oneshot(Wanted::new(id(1)))
            .await
            .unwrap(),
        None
    );
    for status in [400, 401, 410, 429, 500, 503] {
        assert!(
            matches!(error(status, "").await, ProductError::Status(found) if found.as_u16() == status)
        );
    }
    assert!(matches!(
        error(204, "").await,
        ProductError::Status(StatusCode::NO_CONTENT)
    ));
}

#[tokio::test]
async fn an_answer_that_is_no_product_is_an_error() {
    for body in [
        "",
        "<html>",
        "[]",
        r#"{"id":1}"#,
        r#"{"id":1,"name":"x","price":-1}"#,
        r#"{"id":1,"name":"x","price":0.001}"#,
    ] {
        assert!(
            matches!(error(200, body).await, ProductError::Body(_)),
            "{body}"
        );
    }
    for body in [
        r#"{"id":2,"name":"another one","price":1}"#,
        r#"{"id":1,"name":"","price":1}"#,
        r#"{"id":1,"name":"x","price":1000000000.01}"#,
    ] {
        assert!(
            matches!(error(200, body).await, ProductError::Unusable { .. }),
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let body = format!(r#"{{"id":1,"name":"{}","price":1}}"#, "x".repeat(100_000));
    assert!(matches!(
        error(200, body).await,
        ProductError::Body(JsonError::TooLarge { .. })
    ));
}

#[tokio::test]
async fn a_connection_that_fails_is_a_transport_error() {
    let client = ProductClient::new(service_fn(|_: Request<Body>| async {
        Err::<Response<Body>, BoxError>("connection refused".into())
    }));
    let error = client.oneshot(Wanted::new(id(1))).await.unwrap_err();
    assert!(
        matches!(error.downcast_ref(), Some(ProductError::Transport(_))),
        "{error}"
    );
}

#[tokio::test]
async fn the_catalog_leaves_out_what_is_no_product() {
    let body = r#"[{"id":1,"name":"Laptop","price":999.99},{"id":"two"},{"id":3,"name":"","price":1},{"id":4,"name":"Monitor","price":199.99}]"#;
    let products = upstream(200, body).catalog().await.unwrap();
    let numbers: Vec<_> = products.iter().map(|product| product.id.get()).collect();
    assert_eq!(numbers, [1, 4]);
    assert!(upstream(503, "").catalog().await.is_err());
    assert!(upstream(200, "{}").catalog().await.is_err());
}
