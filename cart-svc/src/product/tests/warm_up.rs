use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response};
use tokio::time::Instant;
use tower::service_fn;

use super::*;

const LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn it_asks_until_it_is_told_with_growing_waits() {
    const FAILURES: usize = 12;
    let cache = ProductCache::new(10, Duration::from_secs(3_600));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let client = ProductClient::new(service_fn(move |_: Request<Body>| {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            if call < FAILURES {
                return Err::<_, BoxError>("refused".into());
            }
            Ok(Response::new(Body::from(
                r#"[{"id":1,"name":"Laptop","price":999.99}]"#,
            )))
        }
    }));

    let start = Instant::now();
    WarmUp::new(client, cache.clone(), LIMIT).run().await;
    assert_eq!(calls.load(Ordering::SeqCst), FAILURES + 1);
    assert_eq!(cache.recall(id(1)).unwrap().product.name, "Laptop");
    // 0.2 s doubling to 10 s: 12.6 s in the first six waits, then 10 s each; every wait is at least half of that.
    let longest = Duration::from_millis(12_600) + Duration::from_secs(10) * 7;
    assert!(
        (longest / 2..=longest).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_does_not_outlive_its_limit() {
    let cache = ProductCache::new(10, Duration::from_secs(3_600));
    let client = ProductClient::new(service_fn(|_: Request<Body>| {
        std::future::pending::<Result<Response<Body>, BoxError>>()
    }));
    let start = Instant::now();
    assert!(WarmUp::new(client, cache, LIMIT).attempt().await.is_err());
    assert_eq!(start.elapsed(), LIMIT);
}
