//! From text to a configuration that makes sense: [`raw`] is what is written, [`validated`] what it means. The stacks are
//! made from the latter alone.
//!
//! | key | meaning |
//! |---|---|
//! | `[upstreams.NAME]` `url` | where a service is: `http://host[:port][/path]` |
//! | `timeout` | bound for one call to it, until the head of its answer; none without |
//! | `connect_timeout`, `pool_idle`, `pool_max_idle` | how connections to it are made and kept |
//! | `[upstreams.NAME.bulkhead]` `max_concurrent`, `max_queue`, `max_wait` | calls under way, calls waiting, and for how long |
//! | `[upstreams.NAME.breaker]` `consecutive_failures`, `failure_rate` | when its circuit opens |
//! | `open_for`, `half_open_trials`, `success_threshold` | how it closes again |
//! | `recovery` | `"lazy"`: the first call after the wait is the trial; `"probe"`: a background task makes it |
//! | `probe_path` | what that task asks for |
//! | `[[route]]` `path`, `upstream` | `/exact`, `/one/{segment}` or `/below/{*rest}`, and where it leads |
//! | `[product_details]` `product`, `recommendations` | the upstreams of `GET /product-details/{id}` |
//! | `fallback` | whether the page goes out without recommendations when they fail |
//!
//! Beside them there are the keys that every service has.

pub mod interim;
pub mod model;
pub mod raw;
pub mod validated;

use service_kit::config::Section;

pub use validated::{Config, ProductDetails, Target, UpstreamId};
use validated::{Place, validate};

/// Reads and checks the whole configuration; everything that is wrong is noted in the section.
pub fn read(root: &mut Section<'_>) -> Config {
    let (config, violations) = validate(raw::Config::read(root));
    for violation in violations {
        match violation.at {
            Place::Routes => root.reject("route", violation.allowed),
            Place::RoutePath(number) => {
                reject_in(&mut root.list("route"), number, "path", violation.allowed)
            }
            Place::RouteUpstream(number) => {
                reject_in(
                    &mut root.list("route"),
                    number,
                    "upstream",
                    violation.allowed,
                );
            }
            Place::ProductDetails(key) => {
                if let Some(mut section) = root.section("product_details") {
                    section.reject(key, violation.allowed);
                }
            }
        }
    }
    config
}

fn reject_in(sections: &mut [Section<'_>], number: usize, key: &str, allowed: String) {
    if let Some(section) = sections.get_mut(number) {
        section.reject(key, allowed);
    }
}
