//! Everything that stands between a handler and product-svc.

use service_kit::resilience::Policy;
use tower::{ServiceBuilder, timeout::TimeoutLayer};
use tower_breaker::{BulkheadLayer, CircuitBreakerLayer};

use super::{FallbackLayer, ProductCache, Products, verdict::verdict};

/// The product service that handlers call: fallback → bulkhead → breaker → time-out → `client`, outermost first, each only where
/// configured. The vulnerable variant configures none and gets the bare client.
///
/// The order is the design's: the fallback sees every failure and refusal; a call that waits for the bulkhead is not yet on the breaker's
/// watch; the breaker sees the time-out as the failure that it is; the time-out covers the answer to its last byte.
pub fn stack<C: Products>(
    client: C,
    policy: &Policy,
    fallback: Option<ProductCache>,
) -> impl Products + use<C> {
    ServiceBuilder::new()
        .option_layer(fallback.map(FallbackLayer::new))
        .option_layer(
            policy
                .bulkhead
                .clone()
                .map(|bulkhead| BulkheadLayer::new(bulkhead).waiting()),
        )
        .option_layer(
            policy
                .breaker
                .clone()
                .map(|breaker| CircuitBreakerLayer::new(breaker).classify(verdict)),
        )
        .option_layer(policy.timeout.map(TimeoutLayer::new))
        .service(client)
}
