//! The layers every service has around its routes.
//!
//! Outermost first: request telemetry (so that it sees every answer), panics, empty error answers, request time-out, body
//! time-out, body limit, faults. One `Router::layer` call for all that is always there: each call boxes every route once more.

mod body_limit;
mod body_timeout;
mod empty_errors;
mod panics;
mod timeout;

pub(crate) use body_limit::BodyTooLarge;
pub(crate) use body_timeout::BodyTimedOut;
pub(crate) use panics::log_panics;

use crate::faults::{self, FaultLayer};
use crate::problem::Problem;
use crate::runtime::{CommonSettings, Context};
use crate::telemetry::request::TelemetryLayer;
use axum::Router;
use body_limit::BodyLimitLayer;
use body_timeout::BodyTimeoutLayer;
use empty_errors::EmptyErrorsLayer;
use panics::CatchPanicLayer;
use timeout::TimeoutLayer;
use tower::ServiceBuilder;

/// The public listener's routes with everything common around them.
pub(crate) fn public(routes: Router, common: &CommonSettings, context: &Context) -> Router {
    let mut routes = routes;
    if common.faults.is_enabled() {
        routes = routes.layer(FaultLayer::new(&common.faults, context.faults()));
        // Added after the layer: the switch must work whatever the rules say.
        routes = routes.merge(faults::switch_routes(context.faults()));
    }
    let layers = ServiceBuilder::new()
        .layer(TelemetryLayer::public())
        .layer(CatchPanicLayer)
        .layer(EmptyErrorsLayer)
        .layer(TimeoutLayer::new(common.request_timeout))
        .layer(BodyTimeoutLayer::new(common.body_timeout))
        .layer(BodyLimitLayer::new(common.max_body));
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layers)
}

/// The ops listener's.
pub(crate) fn ops(routes: Router) -> Router {
    let layers = ServiceBuilder::new()
        .layer(TelemetryLayer::ops())
        .layer(CatchPanicLayer)
        .layer(EmptyErrorsLayer);
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layers)
}

async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}
