//! From a validated configuration to the running service's routes.

use axum::Router;
use service_kit::{Context, StartError, client::HttpClient};
use tokio::task;

use crate::{
    config::{Config, ProductSettings},
    product::{ProductCache, ProductClient, Products, WarmUp, stack},
    routes::{self, App},
    store::Store,
};

/// How long a warm-up attempt may take where no time-out is configured.
const WARM_UP_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);

pub(crate) async fn start(config: Config, context: Context) -> Result<Router, StartError> {
    let store = {
        let settings = config.store.clone();
        task::spawn_blocking(move || Store::open(&settings)).await??
    };
    context.on_drained({
        let store = store.clone();
        async move { store.close().await }
    });

    let products = products(&config.product, &context).await;
    Ok(routes::router(App {
        products,
        store,
        variant: config.variant,
        circuit: config.product.policy.breaker.clone(),
        view_fan_out: config.view_fan_out,
    }))
}

async fn products(settings: &ProductSettings, context: &Context) -> impl Products + use<> {
    context.register(&settings.policy);

    let client = ProductClient::new(HttpClient::new(
        settings.url.clone(),
        settings.client.clone(),
    ));
    let cache = settings
        .fallback
        .as_ref()
        .map(|fallback| ProductCache::new(fallback.capacity, fallback.max_age));
    if let (Some(cache), Some(true)) = (
        &cache,
        settings.fallback.as_ref().map(|fallback| fallback.warm_up),
    ) {
        let limit = settings
            .policy
            .timeout
            .unwrap_or(WARM_UP_LIMIT)
            .max(WARM_UP_LIMIT);
        warm_up(WarmUp::new(client.clone(), cache.clone(), limit), context).await;
    }
    stack(client, &settings.policy, cache)
}

/// Tries once before the service says that it is ready, so that with product-svc up it starts warm; then goes on in the background.
async fn warm_up(warm_up: WarmUp<HttpClient>, context: &Context) {
    if let Err(error) = warm_up.attempt().await {
        tracing::warn!(%error, "the product cache starts cold; asking again in the background");
        let shutdown = context.shutdown();
        tokio::spawn(async move { shutdown.run_until_cancelled(warm_up.run()).await });
    }
}
