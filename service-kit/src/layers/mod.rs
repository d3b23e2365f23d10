//! The layers every service has around its routes.

use crate::problem::Problem;
use crate::runtime::{CommonSettings, Context};
use axum::Router;

/// The public listener's routes with everything common around them.
pub(crate) fn public(routes: Router, _common: &CommonSettings, _context: &Context) -> Router {
    with_problems(routes)
}

/// The ops listener's.
pub(crate) fn ops(routes: Router) -> Router {
    with_problems(routes)
}

fn with_problems(routes: Router) -> Router {
    routes
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .fallback(async || Problem::unknown_path())
}
