//! What holds for every algorithm, whatever it is shown.

use std::time::Duration;

use proptest::prelude::*;
use tower_breaker::bulkhead::limit::{Aimd, Algorithm, Gradient2, Sample, Vegas};

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    // Steady stretches as well as wild ones, so that probes come to their end too.
    let rtt = prop_oneof![
        Just(0),
        1_u64..1_000,
        900_000..1_100_000_u64,
        1_000_000..100_000_000_u64,
        Just(u64::MAX),
    ];
    let in_flight = prop_oneof![0_usize..400, Just(usize::MAX)];
    let stretch = (rtt, in_flight, prop::bool::weighted(0.1), 1_usize..60);
    prop::collection::vec(stretch, 1..40).prop_map(|stretches| {
        stretches
            .into_iter()
            .flat_map(|(rtt, in_flight, dropped, times)| {
                let mut sample = Sample::new(Duration::from_nanos(rtt), in_flight);
                sample.dropped = dropped;
                std::iter::repeat_n(sample, times)
            })
            .collect()
    })
}

fn algorithms(initial: usize, min: usize, max: usize) -> Vec<Box<dyn Algorithm>> {
    let aimd = Aimd::builder().initial(initial).min(min).max(max);
    let gradient2 = Gradient2::builder().initial(initial).min(min).max(max);
    let vegas = Vegas::builder().initial(initial).min(min).max(max);
    vec![
        Box::new(aimd.build().unwrap()),
        Box::new(gradient2.probe_every(10).build().unwrap()),
        Box::new(vegas.probe_every(10).build().unwrap()),
    ]
}

proptest! {
    #[test]
    fn the_limit_stays_within_its_bounds(
        samples in samples(),
        (min, initial, max) in (1_usize..300, 0_usize..300, 0_usize..300)
            .prop_map(|(min, more, still_more)| (min, min + more, min + more + still_more)),
    ) {
        for mut algorithm in algorithms(initial, min, max) {
            for sample in &samples {
                let limit = algorithm.update(sample);
                prop_assert!((min..=max).contains(&limit), "{limit} after {sample:?}");
            }
        }
    }

    #[test]
    fn a_drop_lowers_the_limit_and_spare_room_does_not_raise_it(samples in samples()) {
        for mut algorithm in algorithms(50, 1, 200) {
            let mut limit = 50;
            for sample in &samples {
                let was_probing = algorithm.is_probing();
                let next = algorithm.update(sample);
                // After a probe the limit is again what it was before it.
                if !was_probing && sample.dropped {
                    prop_assert!(next < limit || limit == 1, "{limit} to {next} by {sample:?}");
                }
                if !was_probing && sample.is_app_limited(limit) {
                    prop_assert!(next <= limit, "{limit} to {next} by {sample:?}");
                }
                limit = next;
            }
        }
    }
}
