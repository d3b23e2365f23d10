use std::time::Duration;

use tower_breaker::{
    Bulkhead, BulkheadLayer, Error, bulkhead::BulkheadService, bulkhead::Refuse, mode::Typed,
};
use tower_layer::Layer;
use tower_test::mock::{self, Mock};

pub type Inner = Mock<&'static str, &'static str>;
pub type Handle = mock::Handle<&'static str, &'static str>;

pub const SECOND: Duration = Duration::from_secs(1);

/// One that refuses when `max_concurrent` calls run.
pub fn refusing(max_concurrent: usize) -> Bulkhead {
    Bulkhead::builder("test")
        .max_concurrent(max_concurrent)
        .build()
        .unwrap()
}

/// One with a queue and no time limit.
pub fn queueing(max_concurrent: usize, max_queue: usize) -> Bulkhead {
    Bulkhead::builder("test")
        .max_concurrent(max_concurrent)
        .max_queue(max_queue)
        .build()
        .unwrap()
}

/// A typed, refusing service over a mock that is always ready.
pub fn guarded(bulkhead: &Bulkhead) -> (BulkheadService<Inner, Typed, Refuse>, Handle) {
    let (inner, handle) = mock::pair();
    (
        BulkheadLayer::new(bulkhead.clone()).typed().layer(inner),
        handle,
    )
}

/// Permits out, and calls waiting.
pub fn load(bulkhead: &Bulkhead) -> (usize, usize) {
    let snapshot = bulkhead.snapshot();
    (snapshot.in_flight, snapshot.queued)
}

pub fn reason<T: std::fmt::Debug, E: std::fmt::Debug>(
    result: Result<T, Error<E>>,
) -> tower_breaker::Reason {
    match result {
        Err(Error::Refused(refused)) => {
            assert_eq!(refused.name(), "test");
            refused.reason()
        }
        other => panic!("not a refusal: {other:?}"),
    }
}
