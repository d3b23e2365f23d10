//! What is sent again, and what is not.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use http::{Method, Request};

use crate::support::{
    backend::Backend,
    backend_process::Mode,
    client::{Answer, ask, get},
    gateway::Gateway,
    setup::{alone, backends, in_front_of},
};

async fn arrived(backends: &mut [Backend]) -> usize {
    let mut all = 0;
    for backend in backends {
        all += backend.count().await;
    }
    all
}

async fn tell(backends: &mut [Backend], mode: &Mode) {
    for backend in backends {
        backend.behave(mode.clone()).await;
    }
}

async fn send(gateway: &Gateway, method: Method, body: impl Into<Body>) -> Answer {
    let request = Request::builder().method(method).uri("/thing");
    ask(gateway.http, request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn there_is_no_storm() {
    let _alone = alone().await;
    let mut backends: [Backend; 3] = backends().await;
    let gateway = in_front_of(
        &backends,
        "retry = { attempts = 3, backoff = \"0s\", budget = { ratio = 0.2, per_second = 1 } }",
    )
    .await;
    for _ in 0..100 {
        assert_eq!(get(gateway.http, "/thing").await.status, 200);
    }
    tell(&mut backends, &Mode::Status(503, None)).await;
    let before = arrived(&mut backends).await;
    let began = tokio::time::Instant::now();
    for _ in 0..150 {
        assert_eq!(get(gateway.http, "/thing").await.status, 503);
    }
    let further = arrived(&mut backends).await - before - 150;
    // A fifth of what succeeded, one for each second, and one for each of the ten seconds that a budget remembers.
    let most = 20 + began.elapsed().as_secs() as usize + 11;
    assert!((10..=most).contains(&further), "{further} of {most}");
}

#[tokio::test]
async fn what_is_not_idempotent_is_sent_once() {
    let _alone = alone().await;
    let mut backends: [Backend; 2] = backends().await;
    let gateway = in_front_of(&backends, "retry = { attempts = 3 }").await;
    for (mode, status) in [(Mode::Status(503, None), 503), (Mode::Break, 502)] {
        tell(&mut backends, &mode).await;
        let before = arrived(&mut backends).await;
        for method in [Method::POST, Method::PATCH] {
            let answer = send(&gateway, method, "some").await;
            assert_eq!(answer.status, status, "{mode:?}");
        }
        assert_eq!(arrived(&mut backends).await, before + 2, "{mode:?}");
        let before = arrived(&mut backends).await;
        assert_eq!(send(&gateway, Method::PUT, "some").await.status, status);
        assert_eq!(arrived(&mut backends).await, before + 3, "{mode:?}");
    }
}

#[tokio::test]
async fn unless_it_could_not_be_sent_at_all() {
    let _alone = alone().await;
    let mut backends: [Backend; 2] = backends().await;
    let gateway = in_front_of(
        &backends,
        "balancer = \"round_robin\"\nretry = { attempts = 2, budget = { per_second = 100 } }",
    )
    .await;
    backends[0].kill().await;
    for _ in 0..20 {
        let answer = send(&gateway, Method::POST, "some").await;
        assert_eq!(answer.status, 200);
    }
    let arrivals = backends[1].arrivals().await;
    assert_eq!(arrivals.len(), 20);
    assert!(arrivals.iter().all(|arrival| arrival.body == 4));
}

#[tokio::test]
async fn bodies_are_sent_again_up_to_the_bound() {
    let _alone = alone().await;
    let mut backends: [Backend; 2] = backends().await;
    let gateway = in_front_of(
        &backends,
        "balancer = \"round_robin\"\nretry = { attempts = 2, body = \"16KiB\", budget = { per_second = 100 } }",
    )
    .await;
    backends[0].behave(Mode::Status(503, None)).await;
    let pieces = |size: usize| {
        let pieces = vec![Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; size / 8])); 8];
        Body::from_stream(stream::iter(pieces))
    };

    for (size, streamed) in [(16 << 10, false), (16 << 10, true)] {
        let before = arrived(&mut backends).await;
        for _ in 0..10 {
            let body = if streamed {
                pieces(size)
            } else {
                Body::from(vec![b'x'; size])
            };
            let answer = send(&gateway, Method::PUT, body).await;
            assert_eq!(answer.status, 200, "streamed: {streamed}");
        }
        let arrived = arrived(&mut backends).await - before;
        assert!((12..=20).contains(&arrived), "{arrived}");
    }
    for backend in &mut backends {
        for arrival in backend.arrivals().await {
            assert_eq!(arrival.body, 16 << 10);
        }
    }

    let before = arrived(&mut backends).await;
    let mut refused = 0;
    for streamed in [false, true].repeat(10) {
        let size = 160 << 10;
        let body = if streamed {
            pieces(size)
        } else {
            Body::from(vec![b'x'; size])
        };
        let answer = send(&gateway, Method::PUT, body).await;
        assert!(
            answer.status == 200 || answer.status == 503,
            "streamed: {streamed}: {answer:?}"
        );
        refused += usize::from(answer.status == 503);
    }
    assert_eq!(arrived(&mut backends).await, before + 20);
    assert!(refused > 0);
}

#[tokio::test]
async fn whoever_says_when_is_asked_again_then() {
    let _alone = alone().await;
    let mut backends: [Backend; 1] = backends().await;
    let gateway = in_front_of(
        &backends,
        "retry = { attempts = 2, retry_after = \"2s\", backoff = \"1ms\" }",
    )
    .await;
    backends[0].behave(Mode::Status(503, Some(1))).await;
    assert_eq!(get(gateway.http, "/thing").await.status, 503);
    let arrivals = backends[0].arrivals().await;
    assert_eq!(arrivals.len(), 2);
    let between = Duration::from_micros(arrivals[1].at - arrivals[0].at);
    assert!(between >= Duration::from_secs(1), "{between:?}");

    // Longer than it is waited for.
    backends[0].behave(Mode::Status(503, Some(30))).await;
    let answer = get(gateway.http, "/thing").await;
    assert_eq!(answer.headers["retry-after"], "30");
    assert_eq!(backends[0].count().await, 3);
}
