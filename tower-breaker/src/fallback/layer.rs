use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::{
    CloneRequest, Errors, FallbackService, Function, KeepNothing, Predicate, Refusals, Snapshot,
    Then, ThenWith, ToService, TypedRefusals, Unmarked, Value, Verdicts, snapshot::Shared,
};
#[cfg(feature = "http")]
use super::{FailedResponses, HttpMark, RefusedResponses};
use crate::striped::Spread;

/// Nothing has been said yet about what to answer: the service cannot be called.
#[derive(Debug, Clone, Copy, Default)]
pub struct Undecided;

/// Answers instead of a service that refused or failed. See the [module](super) for when and with what.
///
/// `W` says when, `K` keeps what is needed of the request, `I` answers instead, and `M` marks the answer as degraded.
#[derive(Clone)]
pub struct FallbackLayer<W = Errors, K = KeepNothing, I = Undecided, M = Unmarked> {
    shared: Spread<Shared>,
    when: W,
    keep: K,
    instead: I,
    mark: M,
}

impl FallbackLayer {
    /// Begins a fallback of this name, which shows in degraded answers and snapshots. It answers on every error, and marks
    /// nothing.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            shared: Spread::new(Shared::new(name.into())),
            when: Errors,
            keep: KeepNothing,
            instead: Undecided,
            mark: Unmarked,
        }
    }
}

#[cfg(feature = "http")]
impl FallbackLayer<FailedResponses, KeepNothing, Undecided, HttpMark> {
    /// Begins a fallback for HTTP. It answers on every refusal, error and failed response
    /// ([`on_failed_response`](Self::on_failed_response)), and marks responses ([`HttpMark`]).
    ///
    /// It fits into axum's `Router::layer`, around guards that answer by themselves:
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use axum::{Router, response::{IntoResponse, Response}, routing::get};
    /// use tower::ServiceBuilder;
    /// use tower_breaker::{
    ///     CircuitBreaker, CircuitBreakerLayer, FallbackLayer, classify::HttpStatus, fallback::Happened,
    /// };
    ///
    /// let breaker = CircuitBreaker::builder("shop").consecutive_failures(5).build()?;
    /// let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(
    ///     ServiceBuilder::new()
    ///         .layer(FallbackLayer::http("front page").answer(|_: Happened<Response, Infallible>| {
    ///             Ok("back soon".into_response())
    ///         }))
    ///         .layer(CircuitBreakerLayer::new(breaker).classify(HttpStatus).respond()),
    /// );
    /// # let _ = app;
    /// # Ok::<(), tower_breaker::BoxError>(())
    /// ```
    pub fn http(name: impl Into<Arc<str>>) -> Self {
        FallbackLayer::new(name)
            .on_failed_response()
            .mark(HttpMark::new())
    }
}

/// # When
impl<W, K, I, M> FallbackLayer<W, K, I, M> {
    /// Answers on every error, a refusal included.
    pub fn on_error(self) -> FallbackLayer<Errors, K, I, M> {
        self.when(Errors)
    }

    /// Answers on refusals only: those of guards of this library, and of tower's load shed, anywhere in the chain of a
    /// [`BoxError`](crate::BoxError), or in an [`Error`](crate::Error) over a `BoxError` or `Infallible`.
    pub fn on_refusal(self) -> FallbackLayer<Refusals, K, I, M> {
        self.when(Refusals)
    }

    /// Answers on refusals of the typed guard (`.typed()`) directly inside, whatever the error type that it wraps.
    pub fn on_typed_refusal(self) -> FallbackLayer<TypedRefusals, K, I, M> {
        self.when(TypedRefusals)
    }

    /// Answers when `classify`, a [`Classify`](crate::classify::Classify), says failure, and on refusals in errors. It sees the answer
    /// as well as the error. For refusals in the form of responses see [`on_failed_response`](Self::on_failed_response).
    pub fn on_verdict<C>(self, classify: C) -> FallbackLayer<Verdicts<C>, K, I, M> {
        self.when(Verdicts(classify))
    }

    /// Answers when a function says so: any `Fn(Result<&Response, &Error>) -> bool + Clone`. The cause that the answer
    /// tells is then [`Error`](super::Cause::Error) or [`BadAnswer`](super::Cause::BadAnswer).
    pub fn on<F>(self, predicate: F) -> FallbackLayer<Predicate<F>, K, I, M> {
        self.when(Predicate(predicate))
    }

    /// Answers on refusals only, whether they are errors or have been made responses by the guard (`.respond()`).
    #[cfg(feature = "http")]
    pub fn on_refused_response(self) -> FallbackLayer<RefusedResponses, K, I, M> {
        self.when(RefusedResponses)
    }

    /// Answers on refusals, as errors or responses; on every other error; and on statuses that
    /// [`HttpStatus`](crate::classify::HttpStatus) calls failures.
    #[cfg(feature = "http")]
    pub fn on_failed_response(self) -> FallbackLayer<FailedResponses, K, I, M> {
        self.when(FailedResponses)
    }

    /// Answers when a [`When`](super::When) of your own says so.
    pub fn when<W2>(self, when: W2) -> FallbackLayer<W2, K, I, M> {
        FallbackLayer {
            shared: self.shared,
            when,
            keep: self.keep,
            instead: self.instead,
            mark: self.mark,
        }
    }
}

/// # What
impl<W, K, I, M> FallbackLayer<W, K, I, M> {
    /// Answers with clones of this value.
    pub fn value<V>(self, value: V) -> FallbackLayer<W, KeepNothing, Value<V>, M> {
        self.instead(KeepNothing, Value::new(value))
    }

    /// Answers with what a function makes of what happened: any `Fn(Happened<Response, Error>) -> Result<Response, Error> + Clone`. To hand on
    /// what happened, give an [`Answer`](super::Answer) instead of a `Result`.
    pub fn answer<F>(self, function: F) -> FallbackLayer<W, KeepNothing, Function<F>, M> {
        self.instead(KeepNothing, Function(function))
    }

    /// Answers with what an `async` function makes of what happened: any `Fn(Happened<Response, Error>) -> Future + Clone` whose
    /// output is a `Result<Response, Error>`, or an [`Answer`](super::Answer).
    pub fn then<F>(self, function: F) -> FallbackLayer<W, KeepNothing, Then<F>, M> {
        self.instead(KeepNothing, Then(function))
    }

    /// As [`then`](Self::then), for a function that also gets what `keep` has kept of the request, as its first argument: a
    /// [`Keep`](super::Keep), such as any `Fn(&Request) -> Option<Kept>`.
    ///
    /// ```
    /// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
    /// use tower_breaker::{BoxError, FallbackLayer, fallback::Happened};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// let fallback = FallbackLayer::new("older prices").then_with(
    ///     |request: &(u32, String)| Some(request.0),
    ///     async |item: u32, happened: Happened<u32, BoxError>| match item {
    ///         7 => Ok(199),
    ///         _ => happened.outcome,
    ///     },
    /// );
    /// let mut price = ServiceBuilder::new()
    ///     .layer(fallback)
    ///     .service(service_fn(async |_: (u32, String)| Err::<u32, BoxError>("down".into())));
    /// assert_eq!(price.ready().await?.call((7, "a long request".into())).await?, 199);
    /// assert!(price.ready().await?.call((8, "another".into())).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn then_with<K2, F>(self, keep: K2, function: F) -> FallbackLayer<W, K2, ThenWith<F>, M> {
        self.instead(keep, ThenWith(function))
    }

    /// Answers with what another service, which must be `Clone`, makes of the request, which must be `Clone` too: one is made
    /// before each call. Its error may be of any type: if it fails, the caller gets what he would have got without it.
    pub fn service<S>(self, service: S) -> FallbackLayer<W, CloneRequest, ToService<S>, M> {
        self.service_with(CloneRequest, service)
    }

    /// As [`service`](Self::service), for a service that gets what `keep` has kept of the request: a [`Keep`](super::Keep), such as
    /// any `Fn(&Request) -> Option<Kept>`. For requests that are not `Clone`, such as those with a body that streams.
    pub fn service_with<K2, S>(
        self,
        keep: K2,
        service: S,
    ) -> FallbackLayer<W, K2, ToService<S>, M> {
        self.instead(keep, ToService(service))
    }

    /// Answers with an [`Instead`](super::Instead) of your own, which gets what `keep`, a [`Keep`](super::Keep), has kept of the
    /// request.
    pub fn instead<K2, I2>(self, keep: K2, instead: I2) -> FallbackLayer<W, K2, I2, M> {
        FallbackLayer {
            shared: self.shared,
            when: self.when,
            keep,
            instead,
            mark: self.mark,
        }
    }

    /// Marks degraded answers with a [`Mark`](super::Mark), such as any `Fn(&mut Response, &Degraded)`; an
    /// [`HttpMark`] for HTTP.
    pub fn mark<M2>(self, mark: M2) -> FallbackLayer<W, K, I, M2> {
        FallbackLayer {
            shared: self.shared,
            when: self.when,
            keep: self.keep,
            instead: self.instead,
            mark,
        }
    }

    /// What the fallback has done so far, in all services made from this layer.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }
}

impl<S, W: Clone, K: Clone, I: Clone, M: Clone> Layer<S> for FallbackLayer<W, K, I, M> {
    type Service = FallbackService<S, W, K, I, M>;

    fn layer(&self, inner: S) -> Self::Service {
        FallbackService {
            inner,
            shared: self.shared.clone(),
            when: self.when.clone(),
            keep: self.keep.clone(),
            instead: self.instead.clone(),
            mark: self.mark.clone(),
        }
    }
}

impl<W, K, I, M> fmt::Debug for FallbackLayer<W, K, I, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackLayer")
            .field("name", &self.shared.name)
            .finish_non_exhaustive()
    }
}
