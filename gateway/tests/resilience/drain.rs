//! A gateway that stops under load, and one that takes over from another.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    backend::Backend,
    backend_process::BODY,
    gateway::Gateway,
    load::{Load, Manner, Seen, all_well, failures},
    poll::{soon, until},
    setup::{GUARDED, alone, backends, configuration},
};

fn config(backends: &[Backend]) -> std::path::PathBuf {
    let urls: Vec<_> = backends.iter().map(Backend::url).collect();
    configuration(&format!("endpoints = {urls:?}\n{GUARDED}"))
}

#[tokio::test]
async fn what_has_been_accepted_is_answered() {
    let _alone = alone().await;
    let backends: [Backend; 3] = backends().await;
    let delay = ["drain.delay=1s".to_owned()];
    let mut gateway = Gateway::start(&config(&backends), &delay).await;
    let mut load = Load::start(gateway.http, 4, Manner::pausing(5));
    load.more(gateway.http, 4, Manner::anew(5));
    load.further(300).await;
    gateway.terminate().await;
    assert_eq!(gateway.ended().await, Some(0));
    let samples = load.end().await;
    for sample in failures(&samples) {
        // There is nobody any more.
        let is_refused =
            matches!(&sample.seen, Seen::Failed(why) if why.starts_with("connecting: "));
        assert!(is_refused, "{sample:?}");
    }
}

#[tokio::test]
async fn another_one_takes_over() {
    let _alone = alone().await;
    let backends: [Backend; 3] = backends().await;
    let config = config(&backends);
    let delay = "drain.delay=500ms".to_owned();
    let mut gateway = Gateway::start(&config, std::slice::from_ref(&delay)).await;
    let address = gateway.http;
    let mut load = Load::start(address, 4, Manner::pausing(5));
    load.more(address, 4, Manner::anew(5));
    load.further(200).await;
    for _ in 0..4 {
        let listen = format!("listen={address}");
        let next = Gateway::start(&config, &[delay.clone(), listen]).await;
        assert_eq!(next.http, address);
        load.further(100).await;
        gateway.terminate().await;
        assert_eq!(gateway.ended().await, Some(0));
        load.further(100).await;
        gateway = next;
    }
    all_well(&load.end().await);
}

/// It had connected before the drain, and its request, or the rest of it, arrives after the listener is gone.
#[tokio::test]
async fn first_words_are_waited_for() {
    let _alone = alone().await;
    let backends: [Backend; 1] = backends().await;
    for before in ["", "G", "GET / HTTP/1.1\r\nhost: "] {
        let mut gateway = Gateway::start(&config(&backends), &[]).await;
        let mut stream = TcpStream::connect(gateway.http).await.unwrap();
        stream.write_all(before.as_bytes()).await.unwrap();
        // So that it has been accepted.
        let load = Load::start(gateway.http, 4, Manner::anew(1));
        load.further(20).await;
        gateway.terminate().await;
        until("no connections are taken", async || {
            TcpStream::connect(gateway.http)
                .await
                .is_err()
                .then_some(())
        })
        .await;
        let rest = &"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[before.len()..];
        stream.write_all(rest.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("the answer", stream.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 "),
            "{before:?}: {answer:?}"
        );
        assert!(answer.ends_with(BODY), "{answer:?}");
        assert_eq!(gateway.ended().await, Some(0));
        load.end().await;
    }
}
