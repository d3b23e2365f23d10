//! tower's own guards. It has no circuit breaker.

use std::sync::Arc;

use tokio::runtime::Runtime;
use tower::{limit::GlobalConcurrencyLimitLayer, timeout::TimeoutLayer};

use super::{Contender, FOREVER, contender, with_runtime};
use crate::{
    entry::{Role, Work},
    work::{Case, Kind, layered},
};

pub fn all(runtime: &Arc<Runtime>) -> Vec<Contender> {
    let limit = GlobalConcurrencyLimitLayer::new(64);
    let timeout = TimeoutLayer::new(FOREVER);
    let mut all = vec![contender(
        Work::Limit,
        Role::Rival,
        "tower",
        "ConcurrencyLimit",
        Case::new("tower ConcurrencyLimit", Kind::Context, layered(limit)),
    )];
    // It makes timers.
    all.extend(with_runtime(
        runtime,
        vec![contender(
            Work::Timeout,
            Role::Beside,
            "tower",
            "Timeout",
            Case::new("tower Timeout", Kind::Context, layered(timeout)),
        )],
    ));
    all
}
