//! Endpoints named in the configuration, by the machine's own resolver.

use gateway::config::model::{Discovery, Endpoint};

use crate::support::follow::start;

fn endpoint(host: &str) -> Endpoint {
    Endpoint {
        host: host.into(),
        port: 80,
        https: false,
        weight: 3,
        zone: Some("a".into()),
    }
}

#[tokio::test]
async fn addresses_are_taken_as_they_are_and_that_is_all() {
    let endpoints = vec![endpoint("10.0.0.1"), endpoint("[2001:db8::1]")];
    let mut followed = start(Discovery::Static(endpoints));
    assert!(followed.following.first_answer().await);
    let both = [
        "10.0.0.1=10.0.0.1:80*3@a",
        "2001:db8::1=[2001:db8::1]:80*3@a",
    ];
    followed.until(&both).await;
    // There is nothing to ask again, so it ends by itself.
    followed.following.stopped().await;
}

#[tokio::test]
async fn localhost_is_resolved() {
    let mut followed = start(Discovery::Static(vec![endpoint("localhost")]));
    followed.until(&["localhost=127.0.0.1:80*3@a"]).await;
    followed.stop().await;
}
