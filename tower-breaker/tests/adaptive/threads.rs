//! Many threads at once, by the system's clock.

use std::{thread, time::Duration};

use tower_breaker::{
    Bulkhead,
    bulkhead::{
        Outcome,
        limit::{Aimd, Window},
    },
};

#[test]
fn every_permit_comes_back_and_every_window_is_seen_once() {
    let bulkhead = Bulkhead::builder("stock")
        .adaptive(Aimd::builder().initial(50).min(40).build().unwrap())
        .limit_window(Window::new().at_least(Duration::from_millis(1)))
        .clock(std::time::Instant::now)
        .build()
        .unwrap();
    thread::scope(|scope| {
        for number in 0..8_u32 {
            let bulkhead = &bulkhead;
            scope.spawn(move || {
                for call in 0..50_000_u32 {
                    let Ok(permit) = bulkhead.try_acquire() else {
                        continue;
                    };
                    match (call ^ number) % 1_024 {
                        0 => permit.finish(Outcome::Overload),
                        1..10 => permit.finish(Outcome::Ignore),
                        10..20 => drop(permit),
                        _ => permit.finish(Outcome::Success),
                    }
                }
            });
        }
    });
    let snapshot = bulkhead.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.queued), (0, 0));
    assert!(
        (40..=200).contains(&snapshot.max_concurrent),
        "{snapshot:?}"
    );
    assert!(snapshot.adaptive.unwrap().windows > 0, "{snapshot:?}");
}
