//! What becomes of endpoints when discovery has news.

use std::sync::Arc;

use tower_breaker::classify::Verdict;

use super::support::*;
use crate::{config::model, data::endpoints::Moment};

#[test]
fn those_that_stay_are_the_same_and_those_that_leave_get_nothing_more() {
    let endpoints = endpoints(settings(model::Balancer::PeakEwma), &[1, 1]);
    let (a, b) = (find(&endpoints, "a"), find(&endpoints, "b"));
    let under_way = a.start(Moment::now());
    succeed(&b);
    endpoints.update([spec("b", 7), spec("c", 1)]);
    assert!(Arc::ptr_eq(&b, &find(&endpoints, "b")));
    assert!(a.is_draining() && !b.is_draining());
    let report = endpoints.report();
    let shown: Vec<_> = report
        .endpoints
        .iter()
        .map(|endpoint| {
            (
                &*endpoint.name,
                endpoint.weight,
                endpoint.draining,
                endpoint.started,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("b:80", 7, false, 1),
            ("c:80", 1, false, 0),
            ("a:80", 0, true, 1)
        ]
    );
    under_way.finish(Verdict::Success, Moment::now());
    assert_eq!(endpoints.report().endpoints.len(), 2);
}
