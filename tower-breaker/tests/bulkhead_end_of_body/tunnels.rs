//! What becomes of the permit when the connection becomes a tunnel.

use http::Request;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_breaker::{BulkheadLayer, bulkhead::end_of_body::TunnelPermit};

use crate::{
    bulkhead, in_flight,
    scripted::{Step::Data, answer, script},
};

fn request(method: &str) -> Request<()> {
    Request::builder().method(method).body(()).unwrap()
}

#[tokio::test]
async fn it_goes_into_the_extensions_and_lasts_as_long_as_it_is_kept() {
    for (method, status) in [("GET", 101), ("CONNECT", 200)] {
        let bulkhead = bulkhead(1);
        let service = BulkheadLayer::new(bulkhead.clone())
            .until_end_of_body()
            .layer(answer(status, script(&[])));
        let mut response = service.oneshot(request(method)).await.unwrap();
        assert!(!response.body().holds_permit());
        let permit = response.extensions_mut().remove::<TunnelPermit>().unwrap();
        assert_eq!(format!("{permit:?}").matches("files").count(), 1);
        drop(response);
        assert_eq!(in_flight(&bulkhead), 1, "{method} {status}");
        let other = permit.clone();
        drop(permit);
        assert_eq!(in_flight(&bulkhead), 1);
        drop(other);
        assert_eq!(in_flight(&bulkhead), 0);
    }
}

#[tokio::test]
async fn it_goes_with_the_head_if_nobody_takes_it() {
    let bulkhead = bulkhead(1);
    let service = BulkheadLayer::new(bulkhead.clone())
        .until_end_of_body()
        .layer(answer(101, script(&[])));
    let response = service.oneshot(request("GET")).await.unwrap();
    drop(response.map(drop));
    assert_eq!(in_flight(&bulkhead), 0);
}

#[tokio::test]
async fn what_was_refused_or_not_asked_for_is_no_tunnel() {
    for (method, status) in [("CONNECT", 407), ("GET", 200)] {
        let bulkhead = bulkhead(1);
        let service = BulkheadLayer::new(bulkhead.clone())
            .until_end_of_body()
            .layer(answer(status, script(&[Data("text")])));
        let response = service.oneshot(request(method)).await.unwrap();
        assert!(response.extensions().get::<TunnelPermit>().is_none());
        assert!(response.body().holds_permit());
    }
}

#[tokio::test]
async fn two_bulkheads_both_count_the_tunnel() {
    let (all, one) = (bulkhead(10), bulkhead(5));
    let service = ServiceBuilder::new()
        .layer(BulkheadLayer::new(all.clone()).until_end_of_body())
        .layer(BulkheadLayer::new(one.clone()).until_end_of_body())
        .service(answer(101, script(&[])));
    let mut response = service.oneshot(request("GET")).await.unwrap();
    let permit = response.extensions_mut().remove::<TunnelPermit>().unwrap();
    drop(response);
    assert_eq!((in_flight(&all), in_flight(&one)), (1, 1));
    assert_eq!(format!("{permit:?}").matches("files").count(), 2);
    drop(permit);
    assert_eq!((in_flight(&all), in_flight(&one)), (0, 0));
}
