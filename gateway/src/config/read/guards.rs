//! Bulkheads and circuit breakers, built by their own builders, whose complaints become errors of the keys they are about.

use std::time::Duration;

use http::uri::PathAndQuery;
use service_kit::resilience;
use tower_breaker::{Bulkhead, CircuitBreaker, Recovery};

use super::{fields::Fields, parse};

pub(super) fn bulkhead(table: &mut Fields<'_>, name: &str) -> Option<Bulkhead> {
    resilience::bulkhead(table.section(), name)
}

/// The breaker, and what is asked for while it is open, if that is done in the background.
pub(super) fn breaker(
    table: &mut Fields<'_>,
    name: &str,
    timeout: Option<Duration>,
) -> (Option<CircuitBreaker>, Option<PathAndQuery>) {
    let probe = probe(table);
    let recovery = probe.as_ref().map_or(Recovery::Lazy, |_| Recovery::Probed);
    // A time-out of zero is none.
    let timeout = timeout.filter(|timeout| !timeout.is_zero());
    let breaker = resilience::breaker(table.section(), name, timeout, |_, builder| {
        builder.recovery(recovery)
    });
    (breaker, probe)
}

fn probe(table: &mut Fields<'_>) -> Option<PathAndQuery> {
    let is_probed = table.word("recovery") == "probe";
    let path = table.parsed("probe_path", parse::path_and_query);
    if is_probed {
        table.need("probe_path");
    } else if table.contains("probe_path") {
        table.reject("probe_path", "nothing, unless recovery = \"probe\"");
    }
    path.filter(|_| is_probed)
}

pub(super) fn refuse_probe(table: &mut Fields<'_>) {
    if table.word("recovery") == "probe" {
        let allowed =
            "\"lazy\": the check in the background is the upstream's, for the upstream's breaker";
        table.reject("recovery", allowed);
    }
}
