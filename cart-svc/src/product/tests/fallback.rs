use std::time::Duration;

use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok};
use tower_test::mock::{self, Handle, Spawn};

use super::*;
use crate::domain::{Freshness, Source};

type Inner = mock::Mock<Wanted, Option<Offer>>;

const MAX_AGE: Duration = Duration::from_secs(60);

fn fallback() -> (
    Spawn<Fallback<Inner>>,
    Handle<Wanted, Option<Offer>>,
    ProductCache,
) {
    let cache = ProductCache::new(100, MAX_AGE);
    let layer = FallbackLayer::new(cache.clone());
    let (service, mut handle) = mock::spawn_layer(layer);
    handle.allow(1_000);
    (service, handle, cache)
}

/// One call, answered by the inner service as told.
async fn call(
    service: &mut Spawn<Fallback<Inner>>,
    handle: &mut Handle<Wanted, Option<Offer>>,
    wanted: Wanted,
    answer: Result<Option<Offer>, BoxError>,
) -> Result<Option<Offer>, BoxError> {
    assert_ready_ok!(service.poll_ready());
    let mut response = tokio_test::task::spawn(service.call(wanted.clone()));
    assert_pending!(response.poll());
    let (asked, reply) = handle.next_request().await.unwrap();
    assert_eq!(asked, wanted);
    match answer {
        Ok(answer) => reply.send_response(answer),
        Err(error) => reply.send_error(error),
    }
    assert_ready!(response.poll())
}

#[tokio::test(start_paused = true)]
async fn a_success_passes_and_stands_in_later_with_its_age() {
    let (mut service, mut handle, _) = fallback();
    let answer = call(&mut service, &mut handle, Wanted::new(id(1)), Ok(live(1))).await;
    assert_eq!(answer.unwrap(), live(1));

    advance(Duration::from_secs(7)).await;
    let answer = call(&mut service, &mut handle, Wanted::new(id(1)), Err(outage())).await;
    let offer = answer.unwrap().unwrap();
    assert_eq!(offer.product, product(1));
    let Freshness::Stale { age, source, .. } = offer.freshness else {
        panic!("{offer:?}")
    };
    assert_eq!((age, source), (Duration::from_secs(7), Source::Cache));
}

#[tokio::test(start_paused = true)]
async fn each_success_refreshes() {
    let (mut service, mut handle, _) = fallback();
    for _ in 0..3 {
        call(&mut service, &mut handle, Wanted::new(id(1)), Ok(live(1)))
            .await
            .unwrap();
        advance(MAX_AGE - Duration::from_secs(1)).await;
    }
    let offer = call(&mut service, &mut handle, Wanted::new(id(1)), Err(outage())).await;
    let offer = offer.unwrap().unwrap();
    assert!(
        matches!(offer.freshness, Freshness::Stale { age, .. } if age == MAX_AGE - Duration::from_secs(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_copy_stands_in_up_to_its_age_limit_and_not_after() {
    let (mut service, mut handle, cache) = fallback();
    cache.remember(product(1));
    advance(MAX_AGE).await;
    let answer = call(&mut service, &mut handle, Wanted::new(id(1)), Err(outage())).await;
    assert!(answer.unwrap().is_some());

    advance(Duration::from_millis(1)).await;
    let error = call(&mut service, &mut handle, Wanted::new(id(1)), Err(outage()))
        .await
        .unwrap_err();
    assert!(
        error.is::<ProductError>(),
        "the error is the inner one: {error}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_askers_own_record_is_the_last_resort() {
    let (mut service, mut handle, cache) = fallback();
    let wanted = Wanted {
        id: id(1),
        recorded: Some((product(1), Timestamp::from_millis(0))),
    };
    let offer = call(&mut service, &mut handle, wanted.clone(), Err(outage()))
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(offer.freshness, Freshness::Stale { source: Source::Cart, as_of, .. } if as_of.millis() == 0)
    );

    cache.remember(product(1));
    let offer = call(&mut service, &mut handle, wanted.clone(), Err(outage()))
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(
        offer.freshness,
        Freshness::Stale {
            source: Source::Cache,
            ..
        }
    ));

    let offer = call(&mut service, &mut handle, wanted, Ok(live(1)))
        .await
        .unwrap();
    assert_eq!(
        offer,
        live(1),
        "while the call succeeds, no copy is looked at"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_product_is_an_answer_and_is_forgotten() {
    let (mut service, mut handle, cache) = fallback();
    cache.remember(product(1));
    let wanted = Wanted {
        id: id(1),
        recorded: Some((product(1), Timestamp::from_millis(0))),
    };
    let answer = call(&mut service, &mut handle, wanted, Ok(None)).await;
    assert_eq!(answer.unwrap(), None, "not what the cart recorded, either");
    assert!(
        call(&mut service, &mut handle, Wanted::new(id(1)), Err(outage()))
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_to_get_ready_is_stood_in_for() {
    let (mut service, mut handle, cache) = fallback();
    cache.remember(product(1));
    handle.send_error("broken for good");
    assert_ready_ok!(service.poll_ready());
    let offer = service.call(Wanted::new(id(1))).await.unwrap().unwrap();
    assert!(offer.freshness.is_stale());

    // The mock fails once for each time it is told to.
    handle.send_error("broken for good");
    assert_ready_ok!(service.poll_ready());
    let error = service.call(Wanted::new(id(2))).await.unwrap_err();
    assert!(error.to_string().contains("broken for good"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_that_is_busy_is_waited_for() {
    let (mut service, mut handle, _) = {
        let cache = ProductCache::new(100, MAX_AGE);
        let (service, handle) =
            mock::spawn_layer::<Wanted, Option<Offer>, _>(FallbackLayer::new(cache.clone()));
        (service, handle, cache)
    };
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test]
async fn the_memory_is_bounded() {
    let cache = ProductCache::new(10, MAX_AGE);
    for number in 1..=1_000 {
        cache.remember(product(number));
    }
    cache.settle();
    let kept = (1..=1_000)
        .filter(|number| cache.recall(id(*number)).is_some())
        .count();
    assert!(kept <= 10, "{kept}");
}
