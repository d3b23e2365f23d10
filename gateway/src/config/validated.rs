//! The configuration once it makes sense: every name leads somewhere, no two routes take the same paths.

use std::collections::HashMap;

use super::raw;
use crate::data::route::{Pattern, RouteTable};

/// Where an upstream stands in [`Config::upstreams`]. Only [`validate`] makes one, so it always leads to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamId(usize);

/// What answers a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The gateway itself.
    Own,
    /// An upstream, through its stack.
    Upstream(UpstreamId),
}

/// The product page's two sources.
#[derive(Debug, Clone, Copy)]
pub struct ProductDetails {
    /// Without its answer there is no page.
    pub product: UpstreamId,
    /// What goes with it.
    pub recommendations: UpstreamId,
    /// Whether the page goes out without recommendations when they fail.
    pub fallback: bool,
}

/// The whole of it.
#[derive(Debug)]
pub struct Config {
    /// Every service behind the gateway.
    pub upstreams: Vec<raw::Upstream>,
    /// Every path, the gateway's own among them.
    pub routes: RouteTable<Target>,
    /// The aggregated product page, when configured.
    pub product_details: Option<ProductDetails>,
}

impl UpstreamId {
    /// Its place in anything that was made from [`Config::upstreams`], in the same order.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// The path of the aggregated product page.
pub const PRODUCT_DETAILS: &str = "/product-details/{id}";
/// The path of the gateway's own health.
pub const HEALTH: &str = "/health";
/// The path that shows every circuit's state.
pub const CIRCUIT_STATUS: &str = "/circuit-status";

/// Something that does not make sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where.
    pub at: Place,
    /// What would make sense there.
    pub allowed: String,
}

/// Where in the configuration something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The path of the route with this number, counted from 0.
    RoutePath(usize),
    /// The upstream of the route with this number.
    RouteUpstream(usize),
    /// The list of routes itself.
    Routes,
    /// A key of `[product_details]`.
    ProductDetails(&'static str),
}

/// Checks a configuration. What makes sense of it is always returned, so that everything wrong is found in one go; it may
/// only be used when nothing was.
#[must_use]
pub fn validate(raw: raw::Config) -> (Config, Vec<Violation>) {
    let mut violations = Vec::new();
    let names = Names::of(&raw.upstreams);
    if raw.routes.is_empty() && raw.product_details.is_none() {
        violations.push(Violation {
            at: Place::Routes,
            allowed: "at least one [[route]], or [product_details]".to_owned(),
        });
    }
    let routes = routes(&raw, &names, &mut violations);
    let product_details = raw
        .product_details
        .and_then(|page| product_details(&page, &names, &mut violations));
    let config = Config {
        upstreams: raw.upstreams,
        routes,
        product_details,
    };
    (config, violations)
}

/// Which names upstreams go by.
struct Names {
    ids: HashMap<String, UpstreamId>,
    listed: String,
}

impl Names {
    fn of(upstreams: &[raw::Upstream]) -> Self {
        let names: Vec<&str> = upstreams
            .iter()
            .map(|upstream| upstream.name.as_str())
            .collect();
        Self {
            ids: names
                .iter()
                .enumerate()
                .map(|(at, name)| ((*name).to_owned(), UpstreamId(at)))
                .collect(),
            listed: names.join(", "),
        }
    }

    fn find(&self, name: &str, at: Place, violations: &mut Vec<Violation>) -> Option<UpstreamId> {
        let found = self.ids.get(name).copied();
        // An empty name is a key that was missing, and was noted when it was read.
        if found.is_none() && !name.is_empty() {
            let allowed = if self.listed.is_empty() {
                "the name of an upstream; none is configured under [upstreams.NAME]".to_owned()
            } else {
                format!("the name of an upstream: {}", self.listed)
            };
            violations.push(Violation { at, allowed });
        }
        found
    }
}

fn routes(raw: &raw::Config, names: &Names, violations: &mut Vec<Violation>) -> RouteTable<Target> {
    let mut table = RouteTable::default();
    let own: Vec<&str> = [HEALTH, CIRCUIT_STATUS]
        .into_iter()
        .chain(raw.product_details.as_ref().map(|_| PRODUCT_DETAILS))
        .collect();
    for path in &own {
        // Each of them parses and no two are the same: the tests below look every one up.
        if let Ok(pattern) = path.parse() {
            let _: Result<(), _> = table.insert(pattern, Target::Own);
        }
    }
    for (number, route) in raw.routes.iter().enumerate() {
        let upstream = names.find(&route.upstream, Place::RouteUpstream(number), violations);
        if route.path.is_empty() {
            continue;
        }
        let at = Place::RoutePath(number);
        let pattern = match route.path.parse::<Pattern>() {
            Ok(pattern) => pattern,
            Err(error) => {
                let allowed = format!("a path pattern like /a, /a/{{id}} or /a/{{*rest}}: {error}");
                violations.push(Violation { at, allowed });
                continue;
            }
        };
        // A route whose upstream is unknown still takes its paths, or a conflict would show only once the name is right.
        let target = upstream.map_or(Target::Own, Target::Upstream);
        if let Err(conflict) = table.insert(pattern, target) {
            let taken_by = conflict.with.as_str();
            let allowed = if own.contains(&taken_by) {
                format!("a path that is not the gateway's own; {taken_by} takes the same paths")
            } else {
                format!(
                    "a path that no other route takes; the route {taken_by} takes the same paths"
                )
            };
            violations.push(Violation { at, allowed });
        }
    }
    table
}

fn product_details(
    page: &raw::ProductDetails,
    names: &Names,
    violations: &mut Vec<Violation>,
) -> Option<ProductDetails> {
    let product = names.find(&page.product, Place::ProductDetails("product"), violations);
    let recommendations = names.find(
        &page.recommendations,
        Place::ProductDetails("recommendations"),
        violations,
    );
    Some(ProductDetails {
        product: product?,
        recommendations: recommendations?,
        fallback: page.fallback,
    })
}

#[cfg(test)]
mod tests {
    use service_kit::{client::ClientSettings, resilience::Policy};

    use super::*;
    use crate::data::path::SafePath;

    fn upstream(name: &str) -> raw::Upstream {
        raw::Upstream {
            name: name.to_owned(),
            url: http::Uri::from_static("http://127.0.0.1:1"),
            client: ClientSettings::default(),
            policy: Policy::default(),
            probe: None,
        }
    }

    fn route(path: &str, upstream: &str) -> raw::Route {
        raw::Route {
            path: path.to_owned(),
            upstream: upstream.to_owned(),
        }
    }

    fn page() -> raw::ProductDetails {
        raw::ProductDetails {
            product: "b".to_owned(),
            recommendations: "a".to_owned(),
            fallback: false,
        }
    }

    #[test]
    fn every_path_leads_to_the_upstream_its_route_names() {
        let (config, violations) = validate(raw::Config {
            upstreams: vec![upstream("a"), upstream("b")],
            routes: vec![route("/a/{*rest}", "a"), route("/b", "b")],
            product_details: Some(page()),
        });
        assert_eq!(violations, []);
        for (path, name) in [
            ("/a/1", Some("a")),
            ("/b", Some("b")),
            (HEALTH, None),
            (CIRCUIT_STATUS, None),
            ("/product-details/1", None),
        ] {
            let (_, target) = config.routes.find(&SafePath::parse(path).unwrap()).unwrap();
            let got = match target {
                Target::Own => None,
                Target::Upstream(id) => Some(config.upstreams[id.index()].name.as_str()),
            };
            assert_eq!(got, name, "{path}");
        }
        let page = config.product_details.unwrap();
        assert_eq!(config.upstreams[page.product.index()].name, "b");
        assert_eq!(config.upstreams[page.recommendations.index()].name, "a");
    }

    /// Without the page its path is as free as any other, and a conflict is then one between routes.
    #[test]
    fn the_pages_path_is_taken_only_by_the_page() {
        let (_, violations) = validate(raw::Config {
            upstreams: vec![upstream("a")],
            routes: vec![route(PRODUCT_DETAILS, "a"), route(PRODUCT_DETAILS, "a")],
            product_details: None,
        });
        let [violation] = &violations[..] else {
            panic!("{violations:?}");
        };
        assert_eq!(violation.at, Place::RoutePath(1));
        assert!(
            violation.allowed.contains("no other route"),
            "{violation:?}"
        );
    }
}
