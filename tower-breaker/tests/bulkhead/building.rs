use std::time::Duration;

use tower_breaker::{Bulkhead, bulkhead::Partition};

fn problems(builder: tower_breaker::bulkhead::BulkheadBuilder) -> String {
    builder.build().unwrap_err().to_string()
}

#[test]
fn every_problem_is_named_at_once() {
    let text = problems(
        Bulkhead::builder("stock")
            .max_concurrent(0)
            .max_queue(16_001)
            .max_wait(Duration::ZERO),
    );
    for part in [
        "bulkhead `stock`",
        "`max_concurrent` is 0",
        "1 to 250000",
        "`max_queue` is 16001",
        "0 to 16000",
        "`max_wait` is 0ns",
    ] {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
}

#[test]
fn an_empty_name_is_refused() {
    let text = problems(Bulkhead::builder("").max_concurrent(1));
    assert!(
        text.contains("`name` is") && text.contains("any text but the empty one"),
        "{text}"
    );
}

#[test]
fn the_limit_must_be_given() {
    assert!(problems(Bulkhead::builder("stock")).contains("`max_concurrent` is None"));
}

#[test]
fn a_wait_without_a_queue_makes_no_sense() {
    let text = problems(
        Bulkhead::builder("stock")
            .max_concurrent(1)
            .max_wait(Duration::from_secs(1)),
    );
    assert!(
        text.contains("`max_wait` is 1s") && text.contains("`max_queue` is 0"),
        "{text}"
    );
}

#[test]
fn the_limits_of_every_option_build() {
    let day = Duration::from_secs(24 * 60 * 60);
    let most = Bulkhead::builder("stock")
        .max_concurrent(250_000)
        .max_queue(16_000)
        .max_wait(day)
        .build()
        .unwrap();
    let snapshot = most.snapshot();
    assert_eq!(
        (
            snapshot.max_concurrent,
            snapshot.max_queue,
            snapshot.max_wait
        ),
        (250_000, 16_000, Some(day))
    );

    let least = Bulkhead::builder("stock")
        .max_concurrent(1)
        .max_queue(1)
        .max_wait(Duration::from_nanos(1));
    assert!(least.build().is_ok());
    let too_long = Bulkhead::builder("stock")
        .max_concurrent(1)
        .max_queue(1)
        .max_wait(day + Duration::from_nanos(1));
    assert!(problems(too_long).contains("`max_wait`"));
    assert!(problems(Bulkhead::builder("stock").max_concurrent(250_001)).contains("250001"));
}

#[test]
fn as_many_partitions_as_may_be_and_no_more() {
    let with = |partitions: usize| {
        let builder = Bulkhead::builder("stock").max_concurrent(100);
        (0..partitions).fold(builder, |builder, index| {
            builder.partition(Partition::new(index.to_string()))
        })
    };
    assert_eq!(with(16).build().unwrap().snapshot().partitions.len(), 16);
    assert!(problems(with(17)).contains("at most 16 partitions"));
}
