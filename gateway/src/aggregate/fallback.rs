//! A stand-in answer for a call that may fail: the outermost layer around an optional dependency.
//!
//! It differs from an error handler in that its answer has the type of the real one, so that whoever calls the stack cannot
//! tell how the answer came about unless the answer itself says so.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower::{BoxError, Layer, Service};

/// Makes the stand-in from the error that makes it necessary.
pub type StandIn<Res> = Arc<dyn Fn(&BoxError) -> Res + Send + Sync>;

/// Answers with a stand-in whenever the service behind it fails, for whatever reason.
pub struct FallbackLayer<Res> {
    stand_in: StandIn<Res>,
}

impl<Res> FallbackLayer<Res> {
    /// A layer that asks `stand_in` for the answer to a failed call.
    pub fn new(stand_in: impl Fn(&BoxError) -> Res + Send + Sync + 'static) -> Self {
        Self {
            stand_in: Arc::new(stand_in),
        }
    }
}

impl<Res> Clone for FallbackLayer<Res> {
    fn clone(&self) -> Self {
        Self {
            stand_in: Arc::clone(&self.stand_in),
        }
    }
}

impl<Res> fmt::Debug for FallbackLayer<Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackLayer").finish_non_exhaustive()
    }
}

impl<S, Res> Layer<S> for FallbackLayer<Res> {
    type Service = Fallback<S, Res>;

    fn layer(&self, inner: S) -> Self::Service {
        Fallback {
            inner,
            stand_in: Arc::clone(&self.stand_in),
            not_ready: None,
        }
    }
}

/// The service that [`FallbackLayer`] makes.
pub struct Fallback<S, Res> {
    inner: S,
    stand_in: StandIn<Res>,
    // A service that fails to become ready must not be called. The caller still gets an answer, in the call that follows.
    not_ready: Option<BoxError>,
}

impl<S: Clone, Res> Clone for Fallback<S, Res> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            stand_in: Arc::clone(&self.stand_in),
            not_ready: None,
        }
    }
}

impl<S: fmt::Debug, Res> fmt::Debug for Fallback<S, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, Req, Res> Service<Req> for Fallback<S, Res>
where
    S: Service<Req, Response = Res, Error = BoxError>,
{
    type Response = Res;
    type Error = BoxError;
    type Future = FallbackFuture<S::Future, Res>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.not_ready.is_none() {
            self.not_ready = ready!(self.inner.poll_ready(cx)).err();
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let call = match self.not_ready.take() {
            Some(error) => Call::NotReady { error },
            None => Call::Running {
                call: self.inner.call(request),
            },
        };
        FallbackFuture {
            call,
            stand_in: Arc::clone(&self.stand_in),
        }
    }
}

pin_project! {
    /// The future of [`Fallback`].
    pub struct FallbackFuture<F, Res> {
        #[pin]
        call: Call<F>,
        stand_in: StandIn<Res>,
    }
}

pin_project! {
    #[project = CallProjection]
    enum Call<F> {
        Running { #[pin] call: F },
        NotReady { error: BoxError },
    }
}

impl<F, Res> fmt::Debug for FallbackFuture<F, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackFuture").finish_non_exhaustive()
    }
}

impl<F, Res> Future for FallbackFuture<F, Res>
where
    F: Future<Output = Result<Res, BoxError>>,
{
    type Output = Result<Res, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(Ok(match this.call.project() {
            CallProjection::Running { call } => match ready!(call.poll(cx)) {
                Ok(answer) => answer,
                Err(error) => (this.stand_in)(&error),
            },
            CallProjection::NotReady { error } => (this.stand_in)(error),
        }))
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn an_answer_passes_and_an_error_is_stood_in_for() {
        let service = ServiceBuilder::new()
            .layer(FallbackLayer::new(|error: &BoxError| error.to_string()))
            .service(service_fn(async |fails: bool| {
                if fails {
                    Err(BoxError::from("broken"))
                } else {
                    Ok("fine".to_owned())
                }
            }));
        assert_eq!(service.clone().oneshot(false).await.unwrap(), "fine");
        assert_eq!(service.oneshot(true).await.unwrap(), "broken");
    }

    #[derive(Clone)]
    struct NeverReady;

    impl Service<()> for NeverReady {
        type Response = String;
        type Error = BoxError;
        type Future = std::future::Pending<Result<String, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Err("not ready".into()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            panic!("a service that failed to become ready was called");
        }
    }

    #[tokio::test]
    async fn a_service_that_never_becomes_ready_is_stood_in_for_and_not_called() {
        let layer = FallbackLayer::new(|error: &BoxError| error.to_string());
        let answer = layer.layer(NeverReady).oneshot(()).await;
        assert_eq!(answer.unwrap(), "not ready");
    }
}
