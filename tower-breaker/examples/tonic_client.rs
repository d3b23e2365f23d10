//! A tonic client behind a breaker and a time-out. The server is started here; it answers health checks, at first with `UNAVAILABLE`.
//!
//! That status comes in the trailers, after a head that says `200 OK`, so the breaker judges by the end of the body.
//!
//! `cargo run -p tower-breaker --example tonic_client`

#![allow(clippy::print_stdout)]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes};
use http::{HeaderMap, HeaderValue, Response, uri::PathAndQuery};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tonic::{
    Request, Status,
    client::{Grpc as Client, GrpcService},
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Endpoint,
};
use tower::{ServiceBuilder, service_fn};
use tower_breaker::{
    BoxError, CircuitBreaker, CircuitBreakerLayer, Refused, State, classify::Grpc,
};

const OPEN_FOR: Duration = Duration::from_millis(300);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let broken = Arc::new(AtomicBool::new(true));
    let url = start_server(broken.clone()).await?;

    let breaker = CircuitBreaker::builder("health")
        .consecutive_failures(3)
        .open_for(OPEN_FOR)
        .build()?;
    let channel = ServiceBuilder::new()
        .layer(
            CircuitBreakerLayer::new(breaker.clone())
                .classify(Grpc)
                .until_end_of_body(),
        )
        .timeout(Duration::from_secs(2))
        .service(Endpoint::from_shared(url)?.connect().await?);
    let mut client = Client::new(channel);

    for _ in 0..3 {
        let err = failure(show(&breaker, check(&mut client).await))?;
        assert_eq!(err.code(), tonic::Code::Unavailable);
    }
    assert_eq!(breaker.state(), State::Open, "three failures in a row");

    let err = failure(show(&breaker, check(&mut client).await))?;
    let refused = Refused::find(&err).ok_or("the breaker should have refused")?;
    assert_eq!(refused.name(), "health");

    println!("-- the server is well again, and the wait is over");
    broken.store(false, Ordering::Relaxed);
    tokio::time::sleep(OPEN_FOR).await;

    show(&breaker, check(&mut client).await)?;
    assert_eq!(breaker.state(), State::Closed, "the trial succeeded");
    show(&breaker, check(&mut client).await)?;
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.failed, snapshot.refused, snapshot.succeeded),
        (3, 1, 2)
    );
    Ok(())
}

fn show(breaker: &CircuitBreaker, answer: Result<Health, Status>) -> Result<Health, Status> {
    let what = match &answer {
        Ok(health) => format!("answered {health:?}"),
        Err(status) => match Refused::find(status) {
            Some(refused) => format!("refused at once: {refused}"),
            None => format!("failed: {:?}: {}", status.code(), status.message()),
        },
    };
    println!("{:9}  {what}", breaker.state());
    answer
}

fn failure(answer: Result<Health, Status>) -> Result<Status, BoxError> {
    answer.err().ok_or("the call should have failed".into())
}

// What tonic-build would make of `grpc.health.v1.Health/Check`, so that this example needs no protoc.
async fn check<T>(client: &mut Client<T>) -> Result<Health, Status>
where
    T: GrpcService<tonic::body::Body>,
    T::Error: Into<BoxError>,
    T::ResponseBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    client
        .ready()
        .await
        .map_err(|err| Status::from_error(err.into()))?;
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let answer = client.unary(Request::new(CheckAll), path, HealthCodec);
    Ok(answer.await?.into_inner())
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Health {
    Serving,
    NotServing,
}

struct CheckAll;

#[derive(Clone, Copy)]
struct HealthCodec;

impl Codec for HealthCodec {
    type Encode = CheckAll;
    type Decode = Health;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for HealthCodec {
    type Item = CheckAll;
    type Error = Status;

    // `HealthCheckRequest { service: "" }`: a field with its default value is left out.
    fn encode(&mut self, _: CheckAll, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&[]);
        Ok(())
    }
}

impl Decoder for HealthCodec {
    type Item = Health;
    type Error = Status;

    // `HealthCheckResponse { status: 1 }`: field 1, a varint.
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Health>, Status> {
        let message = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(match &message[..] {
            [0x08, 1] => Health::Serving,
            _ => Health::NotServing,
        }))
    }
}

/// HTTP/2 and gRPC by hand: one length-prefixed message, then the trailers.
async fn start_server(broken: Arc<AtomicBool>) -> Result<String, BoxError> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let answer = service_fn(move |_: http::Request<_>| {
        let broken = broken.load(Ordering::Relaxed);
        async move { Ok::<_, Infallible>(respond(broken)) }
    });
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let answer = TowerToHyperService::new(answer.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                // It ends when the client goes away.
                let _ = server
                    .serve_connection(TokioIo::new(connection), answer)
                    .await;
            });
        }
    });
    Ok(url)
}

fn respond(
    broken: bool,
) -> Response<impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static> {
    let (message, status) = if broken {
        (&[][..], "14") // UNAVAILABLE
    } else {
        (&[0, 0, 0, 0, 2, 0x08, 1][..], "0")
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    if broken {
        trailers.insert("grpc-message", HeaderValue::from_static("warming up"));
    }
    let body =
        Full::new(Bytes::from_static(message)).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body);
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}
