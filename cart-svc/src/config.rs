//! cart-svc's own configuration keys; the common ones are service-kit's.

use std::{ops::RangeInclusive, time::Duration};

use http::Uri;
use service_kit::{client::ClientSettings, config::Section, resilience::Policy};

use crate::store::StoreSettings;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which of the two variants a process is: the name in its paths and in `/health`. What protects it is the configuration alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Meant to run without guards.
    Vulnerable,
    /// Meant to run with them.
    Fixed,
}

impl Variant {
    /// The path prefix.
    pub const fn as_str(self) -> &'static str {
        match self {
            Variant::Vulnerable => "vulnerable",
            Variant::Fixed => "fixed",
        }
    }

    /// What `/health` calls it.
    pub const fn mode(self) -> &'static str {
        match self {
            Variant::Vulnerable => "vulnerable",
            Variant::Fixed => "protected",
        }
    }
}

/// A validated configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Path prefix and mode.
    pub variant: Variant,
    /// Where carts are kept.
    pub store: StoreSettings,
    /// Where products come from.
    pub product: ProductSettings,
    /// Questions about products that one cart view asks at the same time.
    pub view_fan_out: usize,
}

/// `[product]`: product-svc and what stands before it.
#[derive(Debug, Clone)]
pub struct ProductSettings {
    /// Its address.
    pub url: Uri,
    /// Connections to it.
    pub client: ClientSettings,
    /// Time-out, bulkhead and breaker, each optional.
    pub policy: Policy,
    /// Older copies that stand in, if wanted.
    pub fallback: Option<FallbackSettings>,
}

/// `[product.fallback]`.
#[derive(Debug, Clone)]
pub struct FallbackSettings {
    /// Products remembered.
    pub capacity: u64,
    /// The oldest copy that still stands in.
    pub max_age: Duration,
    /// Whether to ask for the whole catalog at start.
    pub warm_up: bool,
}

/// Reads and checks every key.
pub fn parse(root: &mut Section<'_>) -> Config {
    let variant = match root
        .choice("variant", "fixed", &["vulnerable", "fixed"])
        .as_str()
    {
        "vulnerable" => Variant::Vulnerable,
        _ => Variant::Fixed,
    };
    let view_fan_out = size(root, "view_fan_out", 8, 1..=100);
    Config {
        variant,
        store: store(&mut root.section_or_empty("store"), variant),
        product: product(&mut root.section_or_empty("product")),
        view_fan_out,
    }
}

fn store(section: &mut Section<'_>, variant: Variant) -> StoreSettings {
    let path = section.path("path", &format!("carts-{}.db", variant.as_str()));
    if path.as_os_str().is_empty() {
        section.reject("path", "the path of a file in an existing directory");
    }
    StoreSettings {
        path,
        queue: size(section, "queue", 1_024, 1..=1_000_000),
        max_batch: size(section, "max_batch", 256, 1..=10_000),
        busy_timeout: section.duration("busy_timeout", 2 * SECOND, Duration::ZERO..=60 * SECOND),
        idempotency_ttl: section.duration("idempotency_ttl", DAY, SECOND..=365 * DAY),
        // Below 1 MiB not even the empty tables and their log fit with room to work.
        max_size: section
            .opt_bytes("max_size", 1 << 20..=1 << 46)
            .and_then(|bytes| i64::try_from(bytes).ok()),
    }
}

fn product(section: &mut Section<'_>) -> ProductSettings {
    ProductSettings {
        // The default stands only where the key's error was recorded.
        url: section
            .required_url("url")
            .unwrap_or_else(|| Uri::from_static("http://127.0.0.1:8081")),
        client: ClientSettings::read(section),
        policy: Policy::read(section),
        fallback: section
            .section("fallback")
            .and_then(|mut section| fallback(&mut section)),
    }
}

fn fallback(section: &mut Section<'_>) -> Option<FallbackSettings> {
    let enabled = section.boolean("enabled", true);
    let settings = FallbackSettings {
        capacity: size(section, "capacity", 10_000, 1..=10_000_000) as u64,
        max_age: section.duration("max_age", DAY, SECOND..=365 * DAY),
        warm_up: section.boolean("warm_up", true),
    };
    enabled.then_some(settings)
}

fn size(section: &mut Section<'_>, key: &str, default: i64, range: RangeInclusive<i64>) -> usize {
    // The ranges above are within `usize`.
    usize::try_from(section.integer(key, default, range)).unwrap_or(1)
}
