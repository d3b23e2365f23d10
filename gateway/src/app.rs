//! From a configuration to workers that answer.

use std::sync::Arc;

use axum::{Router, routing::get};
use service_kit::{
    problem::Problem,
    runtime::{Context, OwnServer, StartError},
    telemetry::RequestMetrics,
};
use tower_breaker::BuildError;

use crate::{
    aggregate::{
        fallback::FallbackLayer,
        product_details::{self, Recommendations, Recommended, Sources},
        source::Source,
    },
    config::{
        ProductDetails,
        model::Gateway,
        own::{CIRCUIT_STATUS, HEALTH},
        routing,
    },
    control::{circuit_status, health},
    data::{
        background, listeners,
        plane::{AnsweredBy, Connections, Plane, Target},
        retry,
        route::RouteTable,
        upstream::Shared,
        worker::Server,
    },
};

/// Builds everything that serves, and begins to.
///
/// # Errors
/// There is no listener, or a worker could not be started.
pub async fn start(gateway: Gateway, context: Context) -> Result<Arc<dyn OwnServer>, StartError> {
    let sockets = listeners::bind(&gateway, &context)?;
    let plane = Arc::new(plane(gateway, &context)?);
    let runtime = tokio::runtime::Handle::current();
    let stop = context.shutdown();
    let found = plane
        .upstreams
        .iter()
        .map(|upstream| background::begin(upstream, &runtime, &stop));
    futures_util::future::join_all(found).await;
    Ok(Arc::new(Server::start(&plane, sockets)?))
}

fn plane(gateway: Gateway, context: &Context) -> Result<Plane, StartError> {
    let sources: Vec<Source> = gateway.upstreams.iter().map(Source::new).collect();
    for source in &sources {
        source.attach(context);
    }
    let metrics = Arc::new(RequestMetrics::new());
    let own = own_routes(context, gateway.product_details, &sources);
    let (routes, targets) = routes(&gateway, context, &metrics)?;
    let zone = gateway.zone;
    let upstreams = gateway
        .upstreams
        .into_iter()
        .map(|upstream| Shared::new(upstream, &zone).map(Arc::new))
        .collect::<Result<_, tower::BoxError>>()?;
    Ok(Plane {
        routes,
        targets,
        upstreams,
        own,
        connections: Connections::new(gateway.limits.connections),
        limits: gateway.limits,
        forwarding: gateway.forwarding,
        access_log: gateway.access_log,
        metrics,
    })
}

fn routes(
    gateway: &Gateway,
    context: &Context,
    metrics: &RequestMetrics,
) -> Result<(RouteTable<usize>, Vec<Target>), BuildError> {
    let retries = gateway
        .routes
        .iter()
        .map(|route| route.policy.retry.as_ref().map(retry::policy).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    let targets = std::cell::RefCell::new(Vec::new());
    let routes = routing::table_of(gateway, |rule, target| {
        let found = match target {
            routing::Target::Own => None,
            routing::Target::Route(place) => gateway.routes.get(place).zip(retries.get(place)),
        };
        let by = found.map_or(AnsweredBy::Own, |(route, retry)| AnsweredBy::Upstream {
            upstream: route.upstream,
            policy: Box::new(route.policy.clone()),
            retry: retry.clone(),
        });
        if let AnsweredBy::Upstream { policy, .. } = &by {
            // Those of its upstream have been registered; one of the same name takes the place of itself.
            policy
                .breaker
                .iter()
                .for_each(|breaker| context.register_breaker(breaker));
            policy
                .bulkhead
                .iter()
                .for_each(|bulkhead| context.register_bulkhead(bulkhead));
        }
        let mut targets = targets.borrow_mut();
        targets.push(Target {
            metrics: metrics.route(rule.path.as_str()),
            by,
        });
        targets.len() - 1
    });
    Ok((routes, targets.into_inner()))
}

fn own_routes(context: &Context, page: Option<ProductDetails>, sources: &[Source]) -> Router {
    let own = Router::new().route(HEALTH, get(health::show)).route(
        CIRCUIT_STATUS,
        get(circuit_status::show).with_state(context.breakers()),
    );
    let page = page.and_then(|page| page_sources(page, sources));
    let own = match page {
        Some(sources) => own.route(
            product_details::PATH,
            get(product_details::show).with_state(sources),
        ),
        None => own,
    };
    own.method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async { Problem::unknown_path() })
}

fn page_sources(page: ProductDetails, sources: &[Source]) -> Option<Sources> {
    let product = sources.get(page.product.index())?;
    let recommendations = sources.get(page.recommendations.index())?;
    let fallback = page
        .fallback
        .then(|| FallbackLayer::new(|_| Recommendations::unavailable()));
    Some(Sources {
        product: product.resource(None),
        recommendations: recommendations.resource::<Recommended, _>(fallback),
    })
}
