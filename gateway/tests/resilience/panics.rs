//! A panic costs its own request. No configuration provokes one, so that the workers are started here, with a handler that panics.

use std::sync::Arc;

use axum::{Router, routing::get};
use gateway::{
    config::{self, own},
    data::{
        plane::{AnsweredBy, Connections, Plane, Target},
        worker::{Front, Server, Socket},
    },
};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use service_kit::{
    config::{Sources, load},
    runtime::{OwnServer, bind_shared},
    telemetry::RequestMetrics,
};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::support::{
    client::Answer,
    poll::{DEADLINE, soon},
    setup::alone,
};

fn plane(own: Router) -> Plane {
    let sources = Sources {
        built_in: "[upstreams.a]\nurl = \"http://127.0.0.1:9\"\n[[route]]\npath = \"/{*rest}\"\nupstream = \"a\"\n",
        ..Sources::default()
    };
    let gateway = load(&sources, config::read).unwrap().value;
    let metrics = Arc::new(RequestMetrics::new());
    let target = Target {
        metrics: metrics.route("own"),
        by: AnsweredBy::Own,
    };
    Plane {
        routes: own::table(false, |_| 0),
        targets: vec![target],
        upstreams: Vec::new(),
        own,
        connections: Connections::new(10),
        limits: gateway.limits,
        forwarding: gateway.forwarding,
        access_log: false,
        metrics,
    }
}

#[tokio::test]
async fn costs_its_own_request() {
    let _alone = alone().await;
    let own = Router::new()
        .route(own::HEALTH, get(panics))
        .route(own::CIRCUIT_STATUS, get(|| async { "well" }));
    // One worker: the one that panics is the one that goes on.
    let listener = bind_shared("127.0.0.1:0".parse().unwrap(), 64).unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let front = Front {
        name: "listen".into(),
        http2: true,
        tls: None,
    };
    let socket = Socket {
        listener,
        front: Arc::new(front),
    };
    let server = Server::start(&Arc::new(plane(own)), vec![vec![socket]]).unwrap();

    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    for (path, status) in [
        (own::HEALTH, 500),
        (own::CIRCUIT_STATUS, 200),
        (own::HEALTH, 500),
        (own::CIRCUIT_STATUS, 200),
    ] {
        let request = http::Request::get(path).header("host", "a");
        let request = request.body(axum::body::Body::empty()).unwrap();
        let exchange = async {
            let response = sender.send_request(request).await.unwrap();
            let (head, body) = response.into_parts();
            Answer {
                status: head.status,
                headers: head.headers,
                body: body.collect().await.unwrap().to_bytes(),
            }
        };
        let answer = soon("an answer", exchange).await;
        assert_eq!(answer.status, status, "{path}");
        if status == 500 {
            assert!(!answer.problem(500).contains("secret"));
        }
    }
    drop(sender);
    let left = server.finish(DEADLINE, &CancellationToken::new()).await;
    assert_eq!(left, 0);
}

async fn panics() -> &'static str {
    panic!("a secret")
}
