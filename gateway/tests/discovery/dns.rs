//! Addresses of a name. The server's times to live are long, and kept to [`SHORT`] by configuration, where a test is not about them.

use std::time::Duration;

use gateway::config::model::{Discovery, Dns};
use hickory_resolver::proto::rr::RecordType;
use tokio::time::Instant;

use crate::support::{
    follow::{start, until},
    name_server::{Mood, NameServer},
};

pub const SHORT: Duration = Duration::from_millis(100);

pub fn config(server: &NameServer, name: &str) -> Dns {
    Dns {
        name: name.into(),
        port: 8080,
        https: false,
        nameserver: Some(server.address),
        ttl: Duration::from_millis(50)..=SHORT,
        timeout: Duration::from_secs(2),
    }
}

/// For tests in which no answer comes.
fn impatient(server: &NameServer) -> Discovery {
    Discovery::Dns(Dns {
        timeout: Duration::from_millis(300),
        ..config(server, "shop.test.")
    })
}

#[tokio::test]
async fn a_change_is_seen_once_the_time_to_live_is_over() {
    let server = NameServer::start().await;
    server.host("shop.test.", 3600, &["10.0.0.2", "10.0.0.1", "2001:db8::1"]);
    let mut followed = start(Discovery::Dns(config(&server, "shop.test.")));
    assert!(followed.following.first_answer().await);
    let all = [
        "shop.test=10.0.0.1:8080",
        "shop.test=10.0.0.2:8080",
        "shop.test=[2001:db8::1]:8080",
    ];
    followed.until(&all).await;

    server.host("shop.test.", 3600, &["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
    let asked = server.questions("shop.test.").len();
    until("it is asked again", || {
        server.questions("shop.test.").len() >= asked + 4
    })
    .await;
    server.host("shop.test.", 3600, &["10.0.0.3"]);
    followed.until(&["shop.test=10.0.0.3:8080"]).await;
    assert_eq!(followed.history().len(), 2, "another order is no change");
    followed.stop().await;
}

#[tokio::test]
async fn the_servers_time_to_live_is_honoured() {
    let server = NameServer::start().await;
    server.host("shop.test.", 1, &["10.0.0.1"]);
    server.host("slow.test.", 3600, &["10.0.0.1"]);
    let follow = |name: &str| {
        let ttl = Duration::ZERO..=Duration::from_secs(3600);
        let config = Dns {
            ttl,
            ..config(&server, name)
        };
        start(Discovery::Dns(config))
    };
    let began = Instant::now();
    let mut followed = follow("shop.test.");
    let mut slow = follow("slow.test.");
    slow.until(&["slow.test=10.0.0.1:8080"]).await;
    let status = slow.following.status().borrow().clone();
    let left = status.ttl_left(Instant::now()).unwrap();
    assert!(left > Duration::from_secs(3500), "{left:?}");

    followed
        .status("there have been three answers", |status| {
            status.succeeded >= 3
        })
        .await;
    // Two refreshes, each at 80 to 90 % of a second; late is no fault on a machine that is busy.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1600), "{took:?}");
    assert_eq!(slow.following.status().borrow().succeeded, 1);
}

#[tokio::test]
async fn the_death_of_the_server_keeps_the_last_answer_until_it_is_back() {
    let server = NameServer::start().await;
    server.host("shop.test.", 3600, &["10.0.0.1", "10.0.0.2"]);
    let mut followed = start(impatient(&server));
    let both = ["shop.test=10.0.0.1:8080", "shop.test=10.0.0.2:8080"];
    followed.until(&both).await;

    for mood in [Mood::Silent, Mood::Fails, Mood::Garbage, Mood::Strangers] {
        server.mood(mood);
        let status = followed.failures(2).await;
        assert!(status.last_error.is_some(), "{mood:?}");
        assert_eq!(status.endpoints, 2, "{mood:?}");
        server.mood(Mood::Well);
        followed
            .status("it has recovered", |status| status.failures_in_a_row == 0)
            .await;
    }
    server.forget("shop.test.");
    let status = followed.failures(2).await;
    assert!(status.is_stale(Instant::now() + SHORT));
    assert!(status.last_error.unwrap().contains("does not exist"));
    assert_eq!(
        followed.history().len(),
        1,
        "nothing else was ever published"
    );

    server.host("shop.test.", 3600, &["10.0.0.9"]);
    followed.until(&["shop.test=10.0.0.9:8080"]).await;
}

#[tokio::test]
async fn a_server_that_is_gone_altogether_is_no_different() {
    let server = NameServer::start().await;
    server.host("shop.test.", 3600, &["10.0.0.1"]);
    let mut followed = start(impatient(&server));
    followed.until(&["shop.test=10.0.0.1:8080"]).await;
    drop(server);
    followed.failures(2).await;
    assert_eq!(followed.history().len(), 1);
    followed.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_is_asked_for_over_tcp() {
    let server = NameServer::start().await;
    server.host("shop.test.", 3600, &["10.0.0.1"]);
    server.mood(Mood::Truncates);
    let mut followed = start(Discovery::Dns(config(&server, "shop.test.")));
    followed.until(&["shop.test=10.0.0.1:8080"]).await;
    let questions = server.questions("shop.test.");
    assert!(questions.contains(&(RecordType::A, "udp")));
    assert!(questions.contains(&(RecordType::A, "tcp")));
}

#[tokio::test]
async fn a_large_answer_is_taken_as_far_as_the_cap() {
    let server = NameServer::start().await;
    let many: Vec<_> = (0..1100_u32)
        .map(|n| format!("10.1.{}.{}", n / 256, n % 256))
        .collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    server.host("shop.test.", 3600, &many);
    server.mood(Mood::Truncates);
    let mut followed = start(Discovery::Dns(config(&server, "shop.test.")));
    let status = followed
        .status("it has an answer", |status| status.succeeded > 0)
        .await;
    assert_eq!((status.endpoints, status.left_out), (1024, 76));
}

#[tokio::test]
async fn aliases_are_followed_within_an_answer_and_beyond() {
    let server = NameServer::start().await;
    server.alias("shop.test.", 3600, "real.test.");
    server.host("real.test.", 3600, &["10.0.0.1"]);
    let mut followed = start(Discovery::Dns(config(&server, "shop.test.")));
    followed.until(&["shop.test=10.0.0.1:8080"]).await;
}

#[tokio::test]
async fn a_name_is_asked_for_as_it_is_without_search_domains() {
    let server = NameServer::start().await;
    let mut followed = start(Discovery::Dns(config(&server, "shop.test")));
    followed.failures(1).await;
    server.host("shop.test.", 3600, &["10.0.0.1"]);
    followed.until(&["shop.test=10.0.0.1:8080"]).await;
    let asked = server.all_questions();
    assert!(asked.iter().all(|name| name == "shop.test."), "{asked:?}");
}

#[tokio::test]
async fn start_up_waits_for_the_first_answer_but_not_for_ever() {
    let server = NameServer::start().await;
    server.mood(Mood::Silent);
    let mut followed = start(impatient(&server));
    assert!(!followed.following.first_answer().await);
    assert!(followed.history().is_empty());
    server.host("shop.test.", 3600, &["10.0.0.1"]);
    server.mood(Mood::Well);
    followed.until(&["shop.test=10.0.0.1:8080"]).await;
}
