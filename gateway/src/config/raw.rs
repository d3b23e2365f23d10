//! The configuration as it is written: every key read, every value of the right kind, nothing yet checked against anything
//! else.

use http::{Uri, uri::PathAndQuery};
use service_kit::{client::ClientSettings, config::Section, resilience::Policy};
use tower_breaker::Recovery;

/// A service behind the gateway, and what guards the calls to it.
#[derive(Debug)]
pub struct Upstream {
    /// The `NAME` of `[upstreams.NAME]`.
    pub name: String,
    /// Its base address.
    pub url: Uri,
    /// How connections to it are made and kept.
    pub client: ClientSettings,
    /// Time-out, bulkhead and breaker, each if configured.
    pub policy: Policy,
    /// What is asked of it while its circuit is open, so that no user's call is the trial.
    pub probe: Option<PathAndQuery>,
}

/// One `[[route]]`.
#[derive(Debug)]
pub struct Route {
    /// Which paths it takes.
    pub path: String,
    /// Which upstream they go to.
    pub upstream: String,
}

/// `[product_details]`.
#[derive(Debug)]
pub struct ProductDetails {
    /// The upstream that knows products.
    pub product: String,
    /// The upstream that recommends others.
    pub recommendations: String,
    /// Whether the page goes out without recommendations when they fail.
    pub fallback: bool,
}

/// The whole of it.
#[derive(Debug)]
pub struct Config {
    /// `[upstreams.NAME]`, by name.
    pub upstreams: Vec<Upstream>,
    /// `[[route]]`, in order.
    pub routes: Vec<Route>,
    /// `[product_details]`, if it is there.
    pub product_details: Option<ProductDetails>,
}

impl Config {
    /// Reads every key of the gateway's own.
    pub fn read(root: &mut Section<'_>) -> Self {
        Self {
            upstreams: root
                .sections("upstreams")
                .into_iter()
                .map(|(name, mut section)| Upstream::read(name, &mut section))
                .collect(),
            routes: root.list("route").iter_mut().map(Route::read).collect(),
            product_details: root
                .section("product_details")
                .map(|mut section| ProductDetails::read(&mut section)),
        }
    }
}

impl Upstream {
    fn read(name: String, section: &mut Section<'_>) -> Self {
        let url = section.required_url("url");
        let client = ClientSettings::read(section);
        let mut probe = None;
        let policy = Policy::read_with(section, &name, |breaker, builder| {
            probe = read_probe(breaker);
            let recovery = probe.as_ref().map_or(Recovery::Lazy, |_| Recovery::Probed);
            builder.recovery(recovery)
        });
        Self {
            name,
            // An address that is missing or wrong has been noted, and a configuration with notes is never used.
            url: url.unwrap_or_default(),
            client,
            policy,
            probe,
        }
    }
}

/// `recovery` and `probe_path` of a breaker's table.
fn read_probe(breaker: &mut Section<'_>) -> Option<PathAndQuery> {
    let recovery = breaker.choice("recovery", "lazy", &["lazy", "probe"]);
    let path = breaker.opt_string("probe_path");
    let is_probed = recovery == "probe";
    let parsed = path
        .as_ref()
        .filter(|path| path.starts_with('/'))
        .and_then(|path| path.parse().ok());
    match (is_probed, path) {
        (true, _) if parsed.is_none() => {
            breaker.reject("probe_path", "a path to ask for, such as \"/health\"");
        }
        (false, Some(_)) => breaker.reject("probe_path", "nothing, unless recovery = \"probe\""),
        _ => {}
    }
    parsed.filter(|_| is_probed)
}

impl Route {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            path: section.required_string("path"),
            upstream: section.required_string("upstream"),
        }
    }
}

impl ProductDetails {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            product: section.required_string("product"),
            recommendations: section.required_string("recommendations"),
            fallback: section.boolean("fallback", false),
        }
    }
}
