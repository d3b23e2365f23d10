//! Targets of SRV records.

use gateway::config::model::Discovery;

use crate::{
    dns::config,
    support::{
        follow::start,
        name_server::{Mood, NameServer},
    },
};

const NAME: &str = "_http._tcp.shop.test.";

#[tokio::test]
async fn priorities_weights_and_ports_are_the_records_own() {
    let server = NameServer::start().await;
    let records = [
        (20, 1, 80, "late.test."),
        (10, 60, 8081, "A.test."),
        (10, 40, 8082, "b.test."),
    ];
    server.services(NAME, 3600, &records);
    server.host("a.test.", 3600, &["10.0.0.1"]);
    server.host("b.test.", 3600, &["10.0.0.2"]);
    server.host("late.test.", 3600, &["10.0.0.3"]);
    let mut followed = start(Discovery::Srv(config(&server, NAME)));
    followed
        .until(&["a.test=10.0.0.1:8081*60", "b.test=10.0.0.2:8082*40"])
        .await;
    assert!(server.questions("late.test.").is_empty());

    // The first priority goes away altogether.
    server.services(NAME, 3600, &records[..1]);
    followed.until(&["late.test=10.0.0.3:80"]).await;
    server.services(
        NAME,
        3600,
        &[(10, 0, 80, "b.test."), (10, 3, 80, "a.test.")],
    );
    followed
        .until(&["a.test=10.0.0.1:80*300", "b.test=10.0.0.2:80"])
        .await;
}

#[tokio::test]
async fn the_last_answer_outlives_server_name_and_targets() {
    let server = NameServer::start().await;
    server.services(NAME, 3600, &[(1, 1, 80, "a.test."), (1, 1, 80, "b.test.")]);
    server.host("a.test.", 3600, &["10.0.0.1"]);
    server.host("b.test.", 3600, &["10.0.0.2"]);
    let mut followed = start(Discovery::Srv(config(&server, NAME)));
    let both = ["a.test=10.0.0.1:80", "b.test=10.0.0.2:80"];
    followed.until(&both).await;

    server.mood(Mood::Fails);
    followed.failures(2).await;
    server.mood(Mood::Well);
    followed
        .status("it has recovered", |status| status.failures_in_a_row == 0)
        .await;
    // One target is not known any more: it keeps what it had.
    server.forget("a.test.");
    followed.failures(2).await;
    server.services(NAME, 3600, &[(0, 0, 0, ".")]);
    let status = followed.failures(2).await;
    assert!(status.last_error.unwrap().contains("no such service"));
    server.forget(NAME);
    followed.failures(2).await;
    assert_eq!(followed.history().len(), 1);
    followed.stop().await;
}

#[tokio::test]
async fn long_answers_come_over_tcp() {
    let server = NameServer::start().await;
    server.mood(Mood::Truncates);
    server.services(NAME, 3600, &[(1, 1, 80, "a.test.")]);
    server.host("a.test.", 3600, &["10.0.0.1"]);
    let mut followed = start(Discovery::Srv(config(&server, NAME)));
    followed.until(&["a.test=10.0.0.1:80"]).await;
}
