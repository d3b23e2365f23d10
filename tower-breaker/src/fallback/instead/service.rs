use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{Answer, Instead};
use crate::fallback::Happened;

/// Answers with what another service answers to what was kept of the request.
#[derive(Debug, Clone, Copy)]
pub struct ToService<S>(pub(in crate::fallback) S);

impl<S, K, Res, Err> Instead<K, Res, Err> for ToService<S>
where
    S: Service<K, Response = Res>,
{
    type Future = ServiceFuture<S, K, Result<Res, Err>>;

    fn instead(self, kept: K, happened: Happened<Res, Err>) -> Self::Future {
        ServiceFuture {
            state: State::Readying {
                service: self.0,
                request: Some(kept),
            },
            outcome: Some(happened.outcome),
        }
    }
}

pin_project! {
    /// The future of a fallback to another service: makes it ready, then calls it.
    pub struct ServiceFuture<S, Req, O>
    where
        S: Service<Req>,
    {
        #[pin]
        state: State<S, Req>,
        // What the caller gets if this fails too.
        outcome: Option<O>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, Req>
    where
        S: Service<Req>,
    {
        Readying { service: S, request: Option<Req> },
        Calling { #[pin] call: S::Future },
    }
}

impl<S, Req, Err> Future for ServiceFuture<S, Req, Result<S::Response, Err>>
where
    S: Service<Req>,
{
    type Output = Answer<S::Response, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let result = match this.state.as_mut().project() {
                StateProj::Readying { service, request } => {
                    match ready!(service.poll_ready(cx)) {
                        Ok(()) => {
                            let Some(request) = request.take() else {
                                // Polled again after the service has panicked, which nobody may do.
                                return Poll::Pending;
                            };
                            let call = service.call(request);
                            this.state.set(State::Calling { call });
                            continue;
                        }
                        Err(err) => Err(err),
                    }
                }
                StateProj::Calling { call } => ready!(call.poll(cx)),
            };
            return match (result, this.outcome.take()) {
                (Ok(response), _) => Poll::Ready(Answer::Degraded(response)),
                (Err(_), Some(outcome)) => Poll::Ready(Answer::Failed(outcome)),
                // Polled again after it was done, which nobody may do: there is nothing left to say.
                (Err(_), None) => Poll::Pending,
            };
        }
    }
}

impl<S: Service<Req>, Req, O> fmt::Debug for ServiceFuture<S, Req, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Readying { .. } => "readying",
            State::Calling { .. } => "calling",
        };
        f.debug_struct("ServiceFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
