//! The configuration as it is written: every key read, every value of the right kind, nothing yet checked against anything
//! else.

use std::time::Duration;

use http::Uri;
use service_kit::{config::Section, resilience::Policy};

/// A service behind the gateway, and what guards the calls to it.
#[derive(Debug)]
pub struct Upstream {
    /// The `NAME` of `[upstreams.NAME]`.
    pub name: String,
    /// Its base address.
    pub url: Uri,
    /// How long connecting to it may take.
    pub connect_timeout: Duration,
    /// Time-out, bulkhead and breaker, each if configured.
    pub policy: Policy,
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
        let longest = Duration::from_secs(60);
        Self {
            name,
            // An address that is missing or wrong has been noted, and a configuration with notes is never used.
            url: section.required_url("url").unwrap_or_default(),
            connect_timeout: section.duration(
                "connect_timeout",
                Duration::from_secs(2),
                Duration::from_millis(1)..=longest,
            ),
            policy: Policy::read(section),
        }
    }
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
