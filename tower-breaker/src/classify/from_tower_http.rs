use http::{HeaderMap, Request, Response};
use http_body::Body;
use tower_http::classify::{ClassifiedResponse, ClassifyEos, ClassifyResponse, MakeClassifier};

use super::{AnyError, Classify, ClassifyBody, ClassifyCall, ClassifyEnd, Head, Verdict};
use crate::Refused;

/// Judges by a classifier of tower-http: whatever it calls a failure, of whatever class, is one. Errors are judged as [`AnyError`] does.
///
/// One that needs the end of the response (gRPC's) needs
/// [`until_end_of_body`](crate::CircuitBreakerLayer::until_end_of_body). A layer that does not wait for the end takes a response as a success
/// if its head is not enough to tell. One that waits for the end does so for every response that is no failure by its head: its body must not fail.
///
/// Unlike [`Grpc`](super::Grpc), tower-http's classifier for gRPC counts every code but `OK` as a failure unless told otherwise, and a response without
/// any status as a success.
///
/// tower-http's classifiers name what went wrong, and have no word for a result that says nothing. So an error is a failure to all of them, and their
/// `classify_error` is not called; a guard's refusal further in, as an error or as a response, is ignored without asking them.
///
/// ```
/// use tower_breaker::{CircuitBreaker, CircuitBreakerLayer, classify::FromTowerHttp};
/// use tower_http::classify::{GrpcCode, GrpcErrorsAsFailures, ServerErrorsAsFailures, SharedClassifier};
///
/// let breaker = CircuitBreaker::builder("stock").consecutive_failures(5).build()?;
/// let layer = CircuitBreakerLayer::new(breaker.clone())
///     .classify(FromTowerHttp(ServerErrorsAsFailures::make_classifier()));
/// let grpc = GrpcErrorsAsFailures::new().with_success(GrpcCode::NotFound);
/// let grpc_layer = CircuitBreakerLayer::new(breaker)
///     .classify(FromTowerHttp(SharedClassifier::new(grpc)))
///     .until_end_of_body();
/// # let _ = (layer, grpc_layer);
/// # Ok::<(), tower_breaker::BoxError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct FromTowerHttp<C>(
    /// Makes tower-http's classifier for each request.
    pub C,
);

/// Judges one call, for [`FromTowerHttp`].
#[derive(Debug, Clone, Copy)]
pub struct TowerHttpCall<K>(K);

/// Judges the end of one response, for [`FromTowerHttp`].
#[derive(Debug, Clone, Copy)]
pub struct TowerHttpEnd<K>(
    // `None` if the head was enough for tower-http: then the body only has to come.
    Option<K>,
);

impl<C, ReqBody, B, Err> Classify<Request<ReqBody>, Response<B>, Err> for FromTowerHttp<C>
where
    C: MakeClassifier,
    Err: 'static,
{
    type Call = TowerHttpCall<C::Classifier>;

    fn begin(&self, request: &Request<ReqBody>) -> Self::Call {
        TowerHttpCall(self.0.make_classifier(request))
    }
}

impl<K: ClassifyResponse> TowerHttpCall<K> {
    fn judge<B>(self, response: &Response<B>) -> Head<TowerHttpEnd<K::ClassifyEos>> {
        if response.extensions().get::<Refused>().is_some() {
            return Head::Known(Verdict::Ignore);
        }
        match self.0.classify_response(response) {
            ClassifiedResponse::Ready(Ok(())) => Head::AtEnd(TowerHttpEnd(None)),
            ClassifiedResponse::Ready(Err(_)) => Head::Known(Verdict::Failure),
            ClassifiedResponse::RequiresEos(end) => Head::AtEnd(TowerHttpEnd(Some(end))),
        }
    }
}

impl<K, B, Err> ClassifyCall<Response<B>, Err> for TowerHttpCall<K>
where
    K: ClassifyResponse,
    Err: 'static,
{
    fn verdict(self, result: Result<&Response<B>, &Err>) -> Verdict {
        match result {
            Ok(response) => match self.judge(response) {
                Head::Known(verdict) => verdict,
                Head::AtEnd(_) => Verdict::Success,
            },
            Err(err) => ClassifyCall::<Response<B>, Err>::verdict(AnyError, Err(err)),
        }
    }
}

impl<K, B, Err> ClassifyBody<B, Err> for TowerHttpCall<K>
where
    K: ClassifyResponse,
    B: Body,
    Err: 'static,
{
    type End = TowerHttpEnd<K::ClassifyEos>;

    fn head(self, response: &Response<B>) -> Head<Self::End> {
        self.judge(response)
    }
}

impl<K: ClassifyEos, E> ClassifyEnd<E> for TowerHttpEnd<K> {
    fn end(self, end: Result<Option<&HeaderMap>, &E>) -> Verdict {
        match end {
            Ok(trailers) => match self.0.map(|end| end.classify_eos(trailers)) {
                None | Some(Ok(())) => Verdict::Success,
                Some(Err(_)) => Verdict::Failure,
            },
            Err(_) => Verdict::Failure,
        }
    }

    fn reads_trailers(&self) -> bool {
        self.0.is_some()
    }
}
