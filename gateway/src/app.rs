//! From a configuration to routes that answer.

use std::sync::Arc;

use axum::{
    Router,
    routing::{any, get},
};
use service_kit::{
    problem::Problem,
    runtime::{Context, StartError},
};

use crate::{
    aggregate::{
        fallback::FallbackLayer,
        product_details::{self, Recommendations, Recommended, Sources},
    },
    config::{
        Config, ProductDetails,
        model::Forwarding,
        validated::{CIRCUIT_STATUS, HEALTH},
    },
    control::{circuit_status, health},
    data::{
        headers::ForwardingPolicy,
        proxy::{self, DataPlane},
        upstream::Upstream,
    },
};

/// Builds everything that serves.
///
/// # Errors
/// None yet: a configuration that was accepted can be served.
pub async fn start(config: Config, context: Context) -> Result<Router, StartError> {
    let upstreams: Vec<Upstream> = config.upstreams.into_iter().map(Upstream::new).collect();
    for upstream in &upstreams {
        upstream.attach(&context);
    }
    let own = own_routes(&context, config.product_details, &upstreams);
    let plane = DataPlane {
        routes: config.routes,
        upstreams,
        own,
        forwarding: ForwardingPolicy::new(&Forwarding::default()),
    };
    // The data plane knows every path and takes them all.
    Ok(Router::new()
        .route("/", any(proxy::serve))
        .route("/{*path}", any(proxy::serve))
        .fallback(proxy::serve)
        .with_state(Arc::new(plane)))
}

fn own_routes(context: &Context, page: Option<ProductDetails>, upstreams: &[Upstream]) -> Router {
    let own = Router::new().route(HEALTH, get(health::show)).route(
        CIRCUIT_STATUS,
        get(circuit_status::show).with_state(context.breakers()),
    );
    let sources = page.and_then(|page| sources(page, upstreams));
    let own = match sources {
        Some(sources) => own.route(
            product_details::PATH,
            get(product_details::show).with_state(sources),
        ),
        None => own,
    };
    own.method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async { Problem::unknown_path() })
}

fn sources(page: ProductDetails, upstreams: &[Upstream]) -> Option<Sources> {
    let product = upstreams.get(page.product.index())?;
    let recommendations = upstreams.get(page.recommendations.index())?;
    let fallback = page
        .fallback
        .then(|| FallbackLayer::new(|_| Recommendations::unavailable()));
    Some(Sources {
        product: product.resource(None),
        recommendations: recommendations.resource::<Recommended, _>(fallback),
    })
}
