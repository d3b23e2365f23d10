//! The one place where the guards around the calls to an upstream are put together.

use tower::{BoxError, Service, ServiceBuilder, timeout::TimeoutLayer, util::BoxCloneSyncService};
use tower_breaker::{BulkheadLayer, CircuitBreakerLayer, classify::Classify};

use crate::aggregate::fallback::FallbackLayer;
use service_kit::resilience::Policy;

/// Everything around the calls that `client` makes to an upstream, outermost first; what is not configured is not there.
///
/// 1. fallback: what a caller gets instead of an error
/// 2. bulkhead: how many calls may be under way
/// 3. breaker: no calls to an upstream that is not well, as `health` judges its answers
/// 4. time-out: how long a call may take. It ends when `client` has its answer: for a proxied request that is the head of
///    the response, whose body may take as long as it likes; for a resource it is the whole
///
/// The layers are typed and make no allocation; the one box is around the finished stack, so that all upstreams have the
/// same type.
pub fn stack<Client, Request, Health>(
    policy: &Policy,
    client: Client,
    health: Health,
    fallback: Option<FallbackLayer<Client::Response>>,
) -> BoxCloneSyncService<Request, Client::Response, BoxError>
where
    Client: Service<Request, Error = BoxError> + Clone + Send + Sync + 'static,
    Client::Response: Send + 'static,
    Client::Future: Send + 'static,
    Request: Send + 'static,
    Health: Classify<Request, Client::Response, BoxError> + Clone + Send + Sync + 'static,
    Health::Call: Send + 'static,
{
    let bulkhead = policy
        .bulkhead
        .clone()
        .map(|bulkhead| BulkheadLayer::new(bulkhead).waiting());
    let breaker = policy
        .breaker
        .clone()
        .map(|breaker| CircuitBreakerLayer::new(breaker).classify(health));
    let stack = ServiceBuilder::new()
        .option_layer(fallback)
        .option_layer(bulkhead)
        .option_layer(breaker)
        .option_layer(policy.timeout.map(TimeoutLayer::new))
        .service(client);
    BoxCloneSyncService::new(stack)
}
