//! Who is left out, and comes back.

use std::time::Duration;

use tokio::time::advance;
use tower_breaker::classify::Verdict;

use super::support::*;
use crate::{
    config::model,
    data::endpoints::{Balancer, Moment, Settings, Wanted},
};

fn ejecting(balancer: model::Balancer) -> Settings {
    Settings {
        ejection: Some(ejection()),
        ..settings(balancer)
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_is_left_out_until_one_trial_succeeds() {
    for config in ALL {
        let endpoints = endpoints(ejecting(config.clone()), &[1, 1, 1]);
        let mut balancer = Balancer::seeded(&config, 3);
        let bad = find(&endpoints, "b");
        fail(&bad, 3);
        assert!(bad.is_ejected());
        assert_eq!(endpoints.load().available(), 2);
        assert!(!picks(&endpoints, &mut balancer, 300).contains_key("b"));
        advance(Duration::from_secs(10)).await;

        let set = endpoints.load();
        let now = Moment::now();
        let mut pick = || {
            balancer
                .pick(&set, Wanted::default(), now)
                .unwrap()
                .start(now)
        };
        let trial = pick();
        assert!(trial.is_trial());
        assert_eq!(host(trial.endpoint()), "b");
        for _ in 0..50 {
            let other = pick();
            assert_ne!(host(other.endpoint()), "b", "one trial at a time");
            other.finish(Verdict::Success, now.after(Duration::from_millis(20)));
        }
        trial.finish(Verdict::Success, now);
        assert!(!bad.is_ejected());
        assert_eq!(endpoints.load().available(), 3);
        assert!(picks(&endpoints, &mut balancer, 300).contains_key("b"));
        assert_eq!(endpoints.report().ejections, 1);
    }
}
