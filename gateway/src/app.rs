//! From a configuration to workers that answer.

use std::{num::NonZero, sync::Arc, thread};

use axum::{Router, routing::get};
use service_kit::{
    problem::Problem,
    runtime::{Context, OwnServer, StartError, bind_shared},
    telemetry::RequestMetrics,
};

use crate::{
    aggregate::{
        fallback::FallbackLayer,
        product_details::{self, Recommendations, Recommended, Sources},
        source::Source,
    },
    config::{
        Config, ProductDetails, Target as RouteTarget, interim,
        validated::{CIRCUIT_STATUS, HEALTH},
    },
    control::{circuit_status, health},
    data::{
        plane::{AnsweredBy, Connections, Plane, Target},
        worker::Server,
    },
};

/// Connections that wait to be accepted by a worker.
const BACKLOG: u32 = 4096;

/// Builds everything that serves, and begins to.
///
/// # Errors
/// There is no listener, or a worker could not be started.
pub async fn start(config: Config, context: Context) -> Result<Arc<dyn OwnServer>, StartError> {
    let sources: Vec<Source> = config.upstreams.iter().map(Source::new).collect();
    for source in &sources {
        source.attach(&context);
    }
    let own = own_routes(&context, config.product_details, &sources);
    let metrics = Arc::new(RequestMetrics::new());
    let upstreams: Vec<_> = config
        .upstreams
        .iter()
        .map(|upstream| Arc::new(interim::upstream(upstream)))
        .collect();
    let mut targets = Vec::new();
    let routes = config.routes.map(|pattern, target| {
        let by = match target {
            RouteTarget::Own => AnsweredBy::Own,
            RouteTarget::Upstream(id) => AnsweredBy::Upstream {
                upstream: id.index(),
                policy: upstreams[id.index()].policy.clone(),
                authority: interim::authority(&config.upstreams[id.index()]),
            },
        };
        targets.push(Target {
            metrics: metrics.route(pattern.as_str()),
            by,
        });
        targets.len() - 1
    });
    let limits = interim::limits();
    let plane = Arc::new(Plane {
        routes,
        targets,
        upstreams,
        own,
        connections: Connections::new(limits.connections),
        limits,
        forwarding: interim::forwarding(),
        access_log: true,
        metrics,
    });
    let first = context
        .take_listener()
        .ok_or("the public listener is missing")?;
    let address = first.local_addr()?;
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(bind_shared(address, BACKLOG)?);
    }
    Ok(Arc::new(Server::start(&plane, listeners)?))
}

fn own_routes(context: &Context, page: Option<ProductDetails>, upstreams: &[Source]) -> Router {
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

fn sources(page: ProductDetails, upstreams: &[Source]) -> Option<Sources> {
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
