//! Over real connections: hyper's client, axum's server, HTTP/2, tonic, and an upgrade.

use std::{future::ready, time::Duration};

use axum::{
    Router,
    body::Body as AxumBody,
    routing::{any, get},
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_breaker::{
    Abandoned, BoxError, Bulkhead, BulkheadLayer, CircuitBreaker, CircuitBreakerLayer,
    bulkhead::end_of_body::TunnelPermit,
    classify::{Grpc, HttpStatus},
};

use crate::{
    bulkhead, in_flight,
    scripted::{
        Script,
        Step::{Data, Fail, Trailers, Wait},
        script,
    },
};

// Real time: long enough for a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Looks until it is so. The other end of a connection learns of things a little later.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let look = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, look).await.is_ok(), "{what}");
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("stock")
        .consecutive_failures(5)
        .on_abandoned(Abandoned::Ignore)
        .build()
        .unwrap()
}

fn client(only_http_2: bool) -> Client<HttpConnector, AxumBody> {
    Client::builder(TokioExecutor::new())
        .http2_only(only_http_2)
        .build_http()
}

fn ask(url: &str, path: &str) -> Request<AxumBody> {
    Request::get(format!("{url}{path}"))
        .body(AxumBody::empty())
        .unwrap()
}

/// Serves this router, or any other service.
async fn serve(app: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let app = TowerToHyperService::new(app.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let connection = TokioIo::new(connection);
                let _ = server.serve_connection_with_upgrades(connection, app).await;
            });
        }
    });
    url
}

/// Answers by path, with trailers, a failure half-way, or nothing but text.
fn scripts() -> Router {
    let of = |steps: Script| {
        get(move || {
            let body = AxumBody::new(steps.clone());
            ready(Response::new(body))
        })
    };
    Router::new()
        .route("/text", of(script(&[Data("hello"), Wait, Data("hello")])))
        .route("/0", of(script(&[Data("message"), Wait, Trailers("0")])))
        .route("/14", of(script(&[Data("message"), Wait, Trailers("14")])))
        .route("/reset", of(script(&[Data("message"), Wait, Fail])))
}

#[tokio::test]
async fn hypers_client_holds_the_permit_to_the_end_of_the_body_or_its_drop() {
    let url = serve(scripts()).await;
    for only_http_2 in [false, true] {
        for (path, read_all, fails) in [
            ("/text", true, false),
            ("/text", false, false),
            ("/reset", true, true),
        ] {
            let guard = bulkhead(1);
            let client = BulkheadLayer::new(guard.clone())
                .until_end_of_body()
                .stall_after(LONG)
                .layer(client(only_http_2));
            let response = client.oneshot(ask(&url, path)).await.unwrap();
            assert_eq!(in_flight(&guard), 1);
            // Through axum's body, which asks for `Send` and a boxable error.
            let mut body = AxumBody::new(response.into_body());
            if read_all {
                assert_eq!(body.collect().await.is_err(), fails);
            } else {
                body.frame().await.unwrap().unwrap();
                assert_eq!(in_flight(&guard), 1);
                drop(body);
            }
            assert_eq!(in_flight(&guard), 0, "{path}, HTTP/2: {only_http_2}");
        }
    }
}

#[tokio::test]
async fn over_http_2_trailers_reach_the_verdict_through_both_bodies() {
    let url = serve(scripts()).await;
    for (path, read_all, expected) in [
        ("/0", true, (1, 0, 0)),
        ("/14", true, (0, 1, 0)),
        ("/reset", true, (0, 1, 0)),
        ("/0", false, (0, 0, 1)),
    ] {
        let (breaker, guard) = (breaker(), bulkhead(1));
        let client = ServiceBuilder::new()
            .layer(BulkheadLayer::new(guard.clone()).until_end_of_body())
            .layer(
                CircuitBreakerLayer::new(breaker.clone())
                    .classify(Grpc)
                    .until_end_of_body(),
            )
            .service(client(true));
        let response = client.oneshot(ask(&url, path)).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(in_flight(&guard), 1);
        match read_all {
            true => assert_eq!(body.collect().await.is_err(), path == "/reset"),
            false => {
                body.frame().await.unwrap().unwrap();
                drop(body);
            }
        }
        let seen = breaker.snapshot();
        assert_eq!((seen.succeeded, seen.failed, seen.abandoned), expected);
        assert_eq!(in_flight(&guard), 0, "{path}");
    }
}

/// A body of what is sent.
fn channel() -> (
    mpsc::UnboundedSender<&'static str>,
    impl Body<Data = Bytes, Error = BoxError> + Send + 'static,
) {
    struct Sent(mpsc::UnboundedReceiver<&'static str>);
    impl futures_core::Stream for Sent {
        type Item = Result<Frame<Bytes>, BoxError>;

        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            let frame = |text| Ok(Frame::data(Bytes::from_static(str::as_bytes(text))));
            self.0.poll_recv(cx).map(|text| text.map(frame))
        }
    }
    let (send, receive) = mpsc::unbounded_channel();
    (send, StreamBody::new(Sent(receive)))
}

#[tokio::test]
async fn an_axum_server_refuses_with_a_response_while_a_body_is_being_sent() {
    let guard = bulkhead(1);
    let (senders, mut sender) = mpsc::unbounded_channel();
    let stream = any(move || {
        let (send, body) = channel();
        senders.send(send).unwrap();
        ready(Response::new(AxumBody::new(body)))
    });
    // `Router::layer` wants an infallible service, so refusals are responses.
    let app = Router::new().route("/", stream).layer(
        BulkheadLayer::new(guard.clone())
            .respond()
            .until_end_of_body(),
    );
    let url = serve(app).await;
    for only_http_2 in [false, true] {
        let client = client(only_http_2);
        let mut response = client.request(ask(&url, "/")).await.unwrap();
        let send = sender.recv().await.unwrap();
        assert_eq!(in_flight(&guard), 1);
        let refused = client.request(ask(&url, "/")).await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let problem = refused.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&problem).contains("files"));

        send.send("hello").unwrap();
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "hello");
        assert_eq!(in_flight(&guard), 1);
        drop(send);
        response.into_body().collect().await.unwrap();
        until("the end gives the permit back", || in_flight(&guard) == 0).await;

        // A client that goes away, in the middle.
        let response = client.request(ask(&url, "/")).await.unwrap();
        let send = sender.recv().await.unwrap();
        assert_eq!(in_flight(&guard), 1);
        drop(response);
        drop(client);
        let writes = || send.send("more").is_err() || in_flight(&guard) == 0;
        until("a lost connection gives it back", writes).await;
        until("all of it", || in_flight(&guard) == 0).await;

        // Only the head.
        let head = Request::head(&url).body(AxumBody::empty()).unwrap();
        let response = self::client(only_http_2).request(head).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let _unused = sender.recv().await.unwrap();
        assert_eq!(in_flight(&guard), 0, "nobody will read that body");
    }
}

/// hyper's server asks an HTTP/1 body of a known length for nothing after its last byte, and a stream does not know that it
/// is at its end.
#[tokio::test]
async fn a_stream_of_announced_length_gives_it_back_when_all_is_sent() {
    let guard = bulkhead(1);
    let answer = get(|| {
        let mut response = Response::new(AxumBody::new(script(&[Data("hello"), Data("hello")])));
        let length = HeaderValue::from_static("10");
        response.headers_mut().insert("content-length", length);
        ready(response)
    });
    let app = Router::new().route("/", answer).layer(
        BulkheadLayer::new(guard.clone())
            .respond()
            .until_end_of_body(),
    );
    let url = serve(app).await;
    let response = client(false).request(ask(&url, "/")).await.unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "hellohello"
    );
    until("all has been sent", || in_flight(&guard) == 0).await;
}

// --- tonic -----------------------------------------------------------------------------------------------------------

mod grpc {
    use super::*;
    use bytes::{Buf, BufMut};
    use tonic::{
        Status,
        client::Grpc as TonicClient,
        codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
        transport::{Channel, Endpoint},
    };

    /// Messages of plain bytes.
    #[derive(Clone, Copy)]
    struct Plain;

    impl Codec for Plain {
        type Encode = ();
        type Decode = Bytes;
        type Encoder = Self;
        type Decoder = Self;

        fn encoder(&mut self) -> Self {
            Self
        }

        fn decoder(&mut self) -> Self {
            Self
        }
    }

    impl Encoder for Plain {
        type Item = ();
        type Error = Status;

        fn encode(&mut self, (): (), buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
            buffer.put_slice(&[]);
            Ok(())
        }
    }

    impl Decoder for Plain {
        type Item = Bytes;
        type Error = Status;

        fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
            Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
        }
    }

    /// Two messages, then this status.
    fn answer(status: &'static str) -> Response<AxumBody> {
        let messages = [Data("\0\0\0\0\x01a"), Wait, Data("\0\0\0\0\x01b")];
        let body = script(&[&messages[..], &[Trailers(status)]].concat());
        let mut response = Response::new(AxumBody::new(body));
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", grpc);
        response
    }

    async fn channel() -> Channel {
        let app = Router::new()
            .route("/files.Files/Good", any(|| ready(answer("0"))))
            .route("/files.Files/Bad", any(|| ready(answer("14"))));
        let url = serve(app).await;
        Endpoint::from_shared(url).unwrap().connect().await.unwrap()
    }

    #[tokio::test]
    async fn a_tonic_stream_holds_the_permit_until_its_trailers() {
        for (method, order_is_usual) in [
            ("/files.Files/Good", true),
            ("/files.Files/Good", false),
            ("/files.Files/Bad", true),
            ("/files.Files/Bad", false),
        ] {
            let (breaker, guard) = (breaker(), bulkhead(1));
            let permits = BulkheadLayer::new(guard.clone()).until_end_of_body();
            let judge = CircuitBreakerLayer::new(breaker.clone())
                .classify(Grpc)
                .until_end_of_body();
            let channel = channel().await;
            let read = match order_is_usual {
                true => {
                    let stack = ServiceBuilder::new().layer(permits).layer(judge);
                    read(TonicClient::new(stack.service(channel)), method, &guard).await
                }
                false => {
                    let stack = ServiceBuilder::new().layer(judge).layer(permits);
                    read(TonicClient::new(stack.service(channel)), method, &guard).await
                }
            };
            let seen = breaker.snapshot();
            match method {
                "/files.Files/Good" => {
                    assert!(read.is_ok());
                    assert_eq!((seen.succeeded, seen.failed), (1, 0));
                }
                _ => {
                    assert_eq!(read.unwrap_err().code(), tonic::Code::Unavailable);
                    assert_eq!((seen.succeeded, seen.failed), (0, 1));
                }
            }
            assert_eq!(in_flight(&guard), 0);
        }
    }

    async fn read<S>(
        mut client: TonicClient<S>,
        method: &'static str,
        guard: &Bulkhead,
    ) -> Result<(), Status>
    where
        S: tonic::client::GrpcService<tonic::body::Body>,
        S::Error: Into<BoxError>,
        S::ResponseBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        client
            .ready()
            .await
            .map_err(|err| Status::from_error(err.into()))?;
        let path = http::uri::PathAndQuery::from_static(method);
        let answer = client
            .server_streaming(tonic::Request::new(()), path, Plain)
            .await?;
        let mut messages = answer.into_inner();
        for expected in ["a", "b"] {
            assert_eq!(in_flight(guard), 1);
            assert_eq!(messages.message().await?.unwrap(), expected);
        }
        let end = messages.message().await.map(drop);
        assert_eq!(in_flight(guard), 0, "the trailers have come");
        end
    }
}

// --- upgrades --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn an_upgraded_connection_counts_for_as_long_as_whoever_has_it_says() {
    let echo = any(|mut request: Request<AxumBody>| {
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
            let mut connection = TokioIo::new(upgraded);
            let mut said = [0; 5];
            connection.read_exact(&mut said).await.unwrap();
            connection.write_all(&said).await.unwrap();
        });
        let switching = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header("connection", "upgrade")
            .header("upgrade", "echo");
        ready(switching.body(AxumBody::empty()).unwrap())
    });
    let url = serve(Router::new().route("/", echo)).await;
    let (breaker, guard) = (breaker(), bulkhead(1));
    let client = ServiceBuilder::new()
        .layer(BulkheadLayer::new(guard.clone()).until_end_of_body())
        .layer(
            CircuitBreakerLayer::new(breaker.clone())
                .classify(HttpStatus)
                .until_end_of_body(),
        )
        .service(client(false));
    let mut request = ask(&url, "/");
    for (name, value) in [("connection", "upgrade"), ("upgrade", "echo")] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    let mut response = client.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(breaker.snapshot().succeeded, 1, "judged at the head");
    let permit = response.extensions_mut().remove::<TunnelPermit>();
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    let mut connection = TokioIo::new(upgraded);
    connection.write_all(b"hello").await.unwrap();
    let mut said = [0; 5];
    connection.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
    assert_eq!(in_flight(&guard), 1);
    drop((connection, permit));
    assert_eq!(in_flight(&guard), 0);
}
