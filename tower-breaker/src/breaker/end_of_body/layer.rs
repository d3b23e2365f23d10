//! The layer.

use std::time::Duration;

use tower_layer::Layer;

use super::{EndOfBodyService, NoStallLimit, StallAfter};
use crate::{
    breaker::{CircuitBreaker, CircuitBreakerLayer, gate::Gate},
    classify::AnyError,
    mode::Boxed,
};

// Longer than anybody waits, and short enough to be added to any point in time.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// As [`CircuitBreakerLayer`], for HTTP and gRPC services, but a call is judged at the end of its response's body. Made by
/// [`CircuitBreakerLayer::until_end_of_body`].
///
/// The classifier has to be a [`ClassifyBody`](crate::classify::ClassifyBody). All that come with this library are, and closures, which are asked about the
/// head; a body that fails then makes a failure of what looked like a success.
///
/// ```
/// use std::time::Duration;
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Full};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_breaker::{BoxError, CircuitBreaker, CircuitBreakerLayer, classify::HttpStatus};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let breaker = CircuitBreaker::builder("files").consecutive_failures(5).build()?;
/// let files = ServiceBuilder::new()
///     .layer(
///         CircuitBreakerLayer::new(breaker.clone())
///             .classify(HttpStatus)
///             .until_end_of_body()
///             .stall_after(Duration::from_secs(10)),
///     )
///     .service(service_fn(async |_: Request<()>| {
///         Ok::<_, BoxError>(Response::new(Full::new(Bytes::from("a large file")))) // your client
///     }));
///
/// let response = files.oneshot(Request::new(())).await?;
/// assert_eq!(breaker.snapshot().succeeded, 0, "not yet: the file has not come");
/// let file = response.into_body().collect().await?.to_bytes();
/// assert_eq!(file, "a large file");
/// assert_eq!(breaker.snapshot().succeeded, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct EndOfBodyLayer<C = AnyError, M = Boxed, L = NoStallLimit> {
    breaker: CircuitBreaker,
    classify: C,
    mode: M,
    back_pressure: bool,
    limit: L,
}

impl<C, M> CircuitBreakerLayer<C, M> {
    /// Judges a call at the end of its response's body, not when its head is there: by gRPC's trailers, and whether the body came whole. The
    /// service's responses carry a [`JudgedBody`](super::JudgedBody).
    ///
    /// Set the classifier, the mode and back-pressure before this.
    pub fn until_end_of_body(self) -> EndOfBodyLayer<C, M> {
        EndOfBodyLayer {
            breaker: self.breaker,
            classify: self.classify,
            mode: self.mode,
            back_pressure: self.back_pressure,
            limit: NoStallLimit,
        }
    }
}

impl<C, M, L> EndOfBodyLayer<C, M, L> {
    /// Gives a body up, and counts the call as a failure, if the service behind gives no frame of it for so long while the reader waits for one.
    /// The body then fails with [`BodyError::Stalled`](super::BodyError::Stalled).
    ///
    /// Only the reader's waiting counts: the time begins anew with every frame, runs only while there is none to be had, and does not depend on how slowly
    /// the reader takes them. A reader that was told to come back and stayed away (for a quarter of the limit) is not held
    /// against the body: the time begins anew when he asks again.
    ///
    /// By default there is no limit, and no timer. At most 30 days; more are taken as that. Needs tokio's timer, and its wake-ups come
    /// in steps of a millisecond.
    pub fn stall_after(self, limit: Duration) -> EndOfBodyLayer<C, M, StallAfter> {
        EndOfBodyLayer {
            breaker: self.breaker,
            classify: self.classify,
            mode: self.mode,
            back_pressure: self.back_pressure,
            limit: StallAfter::new(limit.min(LONGEST)),
        }
    }
}

impl<S, C: Clone, M: Clone, L: Copy> Layer<S> for EndOfBodyLayer<C, M, L> {
    type Service = EndOfBodyService<S, C, M, L>;

    fn layer(&self, inner: S) -> Self::Service {
        EndOfBodyService::new(
            inner,
            Gate::new(self.breaker.clone(), self.back_pressure),
            self.classify.clone(),
            self.mode.clone(),
            self.limit,
        )
    }
}
