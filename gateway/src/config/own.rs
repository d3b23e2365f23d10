//! What the gateway answers itself. These paths are routes for any host and any method: a route with a host is more specific, and
//! comes before them.

use crate::data::route::{RouteTable, Rule};

/// The path of the gateway's own health.
pub const HEALTH: &str = "/health";
/// The path that shows every circuit's state.
pub const CIRCUIT_STATUS: &str = "/circuit-status";
/// The path of the aggregated product page.
pub const PRODUCT_DETAILS: &str = "/product-details/{id}";

/// A table with these paths, and nothing else yet.
#[must_use]
pub fn table<T>(with_page: bool, target: impl Fn(&Rule) -> T) -> RouteTable<T> {
    let mut table = RouteTable::default();
    let paths = [HEALTH, CIRCUIT_STATUS]
        .into_iter()
        .chain(with_page.then_some(PRODUCT_DETAILS));
    for path in paths {
        // Each of them parses and no two are the same: a test looks every one up.
        if let Ok(pattern) = path.parse() {
            let rule = Rule::of_path(pattern);
            let target = target(&rule);
            let _: Result<(), _> = table.insert(rule, target);
        }
    }
    table
}
