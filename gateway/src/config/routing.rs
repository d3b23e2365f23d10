//! The table that requests are looked up in.

use super::{
    model::{Gateway, Route},
    own,
};
use crate::data::route::{RouteTable, Rule};

/// What answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The gateway itself.
    Own,
    /// The route at this place of [`Gateway::routes`].
    Route(usize),
}

impl Route {
    /// Which requests it takes.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        Some(Rule {
            host: self.host.clone(),
            // The path was parsed when it was read.
            path: self.path.parse().ok()?,
            methods: self.methods.clone(),
            headers: self.headers.clone(),
        })
    }
}

/// Every route of a configuration, and what the gateway answers itself.
#[must_use]
pub fn table(gateway: &Gateway) -> RouteTable<Target> {
    table_of(gateway, |_, target| target)
}

/// The same, with targets that are made from these.
#[must_use]
pub fn table_of<T>(gateway: &Gateway, of: impl Fn(&Rule, Target) -> T) -> RouteTable<T> {
    let with_page = gateway.product_details.is_some();
    let mut table = own::table(with_page, |rule| of(rule, Target::Own));
    for (place, route) in gateway.routes.iter().enumerate() {
        if let Some(rule) = route.rule() {
            let target = of(&rule, Target::Route(place));
            // A configuration with conflicts is never used.
            let _: Result<(), _> = table.insert(rule, target);
        }
    }
    table
}
