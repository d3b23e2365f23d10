//! The layer.

use tower_layer::Layer;

use super::{guard::Guard, registry::Keyed, service::KeyedService};
use crate::{
    Bulkhead, CircuitBreaker,
    bulkhead::{Refuse, Wait},
    classify::{AnyError, EveryError},
    mode::{Boxed, Typed},
};

/// Puts the guards of a [`Keyed`] registry in front of a service: each call passes the one for its key. Every service made from the
/// layer, and every clone of such a service, shares the registry.
///
/// `R` is the registry, `X` finds a request's key ([`by`](super::by)), `A` says what is done with a call, and `M` is the form that
/// refusals take ([`mode`](crate::mode)).
///
/// ```
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_breaker::{BoxError, CircuitBreaker, Keyed, KeyedLayer, classify::HttpStatus, keyed::by};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let hosts = Keyed::breakers(|host: &String| CircuitBreaker::builder(host.as_str()).consecutive_failures(5))
///     .overflow(CircuitBreaker::builder("other hosts").consecutive_failures(100))
///     .capacity(1_000)
///     .build()?;
/// let client = ServiceBuilder::new()
///     .layer(KeyedLayer::new(hosts.clone(), by::Host).classify(HttpStatus))
///     .service(service_fn(async |_: Request<()>| Ok::<_, BoxError>(Response::new(())))); // your client
///
/// client.oneshot(Request::get("http://a.example/stock").body(())?).await?;
/// assert_eq!(hosts.get("a.example").map(|breaker| breaker.snapshot().succeeded), Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct KeyedLayer<R, X, A, M = Boxed> {
    registry: R,
    by: X,
    action: A,
    mode: M,
}

/// Passes a circuit, which hears what the classifier `C` makes of the result. What a layer over circuits does by default, with
/// [`AnyError`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Judge<C = AnyError>(pub(super) C);

/// Passes a bulkhead, which refuses when it is full, or lets the call wait; the classifier `C` says what a result means for a limit that
/// finds itself. What a layer over bulkheads does by default, with [`Refuse`] and [`EveryError`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Admit<W = Refuse, C = EveryError> {
    pub(super) when_full: W,
    pub(super) classify: C,
}

impl<K, G: Guard, S, X> KeyedLayer<Keyed<K, G, S>, X, G::Action> {
    /// Guards with the guards of this registry, by the key that `by` finds: see [`by`](super::by).
    ///
    /// Over circuits, every error is a failure by default (see [`AnyError`]). Over bulkheads, a full one refuses. The error type is
    /// [`BoxError`](crate::BoxError).
    pub fn new(registry: Keyed<K, G, S>, by: X) -> Self {
        Self {
            registry,
            by,
            action: G::Action::default(),
            mode: Boxed,
        }
    }
}

impl<R, X, A, M> KeyedLayer<R, X, A, M> {
    pub(super) fn action<A2>(self, change: impl FnOnce(A) -> A2) -> KeyedLayer<R, X, A2, M> {
        KeyedLayer {
            registry: self.registry,
            by: self.by,
            action: change(self.action),
            mode: self.mode,
        }
    }

    /// Keeps the inner error type: the service's error is [`Error<E>`](crate::Error).
    pub fn typed(self) -> KeyedLayer<R, X, A, Typed> {
        self.mode(Typed)
    }

    /// Answers a refused call with a response: see [`refused_response`](crate::http::refused_response). The service's error
    /// is the inner one.
    #[cfg(feature = "http")]
    pub fn respond(self) -> KeyedLayer<R, X, A, crate::mode::Respond> {
        self.mode(crate::mode::Respond)
    }

    /// Shows refusals and errors in a form of your own, an [`ErrorMode`](crate::mode::ErrorMode).
    pub fn mode<M2>(self, mode: M2) -> KeyedLayer<R, X, A, M2> {
        KeyedLayer {
            registry: self.registry,
            by: self.by,
            action: self.action,
            mode,
        }
    }
}

impl<K, S, X, C, M> KeyedLayer<Keyed<K, CircuitBreaker, S>, X, Judge<C>, M> {
    /// Judges results with `classify`, a [`Classify`](crate::classify::Classify).
    pub fn classify<C2>(
        self,
        classify: C2,
    ) -> KeyedLayer<Keyed<K, CircuitBreaker, S>, X, Judge<C2>, M> {
        self.action(|_| Judge(classify))
    }
}

impl<K, S, X, W, C, M> KeyedLayer<Keyed<K, Bulkhead, S>, X, Admit<W, C>, M> {
    /// Lets calls wait in the queue of their key's bulkhead when that is full, as
    /// [`BulkheadLayer::waiting`](crate::BulkheadLayer::waiting) does. The inner service must be `Clone`.
    pub fn waiting(self) -> KeyedLayer<Keyed<K, Bulkhead, S>, X, Admit<Wait, C>, M> {
        self.action(|action| Admit {
            when_full: Wait,
            classify: action.classify,
        })
    }

    /// Says what results mean for limits that find themselves, as [`BulkheadLayer::classify`](crate::BulkheadLayer::classify) does.
    pub fn classify<C2>(
        self,
        classify: C2,
    ) -> KeyedLayer<Keyed<K, Bulkhead, S>, X, Admit<W, C2>, M> {
        self.action(|action| Admit {
            when_full: action.when_full,
            classify,
        })
    }
}

impl<T, R: Clone, X: Clone, A: Clone, M: Clone> Layer<T> for KeyedLayer<R, X, A, M> {
    type Service = KeyedService<T, R, X, A, M>;

    fn layer(&self, inner: T) -> Self::Service {
        KeyedService::new(
            inner,
            self.registry.clone(),
            self.by.clone(),
            self.action.clone(),
            self.mode.clone(),
        )
    }
}
