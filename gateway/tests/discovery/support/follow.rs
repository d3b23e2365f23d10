//! A source that is followed, and waiting for what it publishes.

use std::{sync::Arc, time::Duration};

use gateway::{
    config::model::Discovery,
    data::discovery::{DiscoveredEndpoint, Following, Status, follow},
};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// Far beyond what anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

pub struct Followed {
    pub following: Following,
    published: watch::Receiver<Vec<Vec<DiscoveredEndpoint>>>,
    stop: CancellationToken,
}

pub fn start(config: Discovery) -> Followed {
    let (sender, published) = watch::channel(Vec::new());
    let stop = CancellationToken::new();
    let publish = move |endpoints| sender.send_modify(|all: &mut Vec<Vec<_>>| all.push(endpoints));
    Followed {
        following: follow(
            Arc::from("shop"),
            &config,
            publish,
            &Handle::current(),
            stop.clone(),
        ),
        published,
        stop,
    }
}

impl Followed {
    /// Waits until exactly these have been published last: `host=address*weight`, or without the weight if it is 1.
    pub async fn until(&mut self, wanted: &[&str]) {
        let last = |all: &Vec<Vec<_>>| all.last().is_some_and(|last| places(last) == wanted);
        let met = timeout(DEADLINE, self.published.wait_for(last))
            .await
            .is_ok();
        assert!(met, "wanted {wanted:?}, published {:#?}", self.history());
    }

    /// Waits until the status is so.
    pub async fn status(&mut self, what: &str, is: impl Fn(&Status) -> bool) -> Status {
        let mut status = self.following.status();
        let met = timeout(DEADLINE, status.wait_for(|status| is(status))).await;
        match met {
            Ok(Ok(status)) => status.clone(),
            _ => panic!(
                "gave up waiting until {what}: {:#?}",
                self.following.status().borrow()
            ),
        }
    }

    /// Waits for so many more failed attempts.
    pub async fn failures(&mut self, more: u64) -> Status {
        let before = self.following.status().borrow().failed;
        self.status("it fails", |status| status.failed >= before + more)
            .await
    }

    /// Everything published until now.
    pub fn history(&self) -> Vec<Vec<String>> {
        self.published
            .borrow()
            .iter()
            .map(|one| places(one))
            .collect()
    }

    pub async fn stop(self) {
        self.stop.cancel();
        timeout(DEADLINE, self.following.stopped()).await.unwrap();
    }
}

fn places(endpoints: &[DiscoveredEndpoint]) -> Vec<String> {
    let place = |endpoint: &DiscoveredEndpoint| {
        let weight = match endpoint.weight {
            1 => String::new(),
            weight => format!("*{weight}"),
        };
        let zone = endpoint.zone.iter().map(|zone| format!("@{zone}"));
        let zone: String = zone.collect();
        format!("{}={}{weight}{zone}", endpoint.host, endpoint.address)
    };
    endpoints.iter().map(place).collect()
}

/// Asks again and again until it is so.
pub async fn until(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < DEADLINE, "gave up waiting until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
