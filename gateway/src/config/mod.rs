//! From text to a configuration that makes sense: [`raw`] is what is written, [`validated`] what it means. The stacks are
//! made from the latter alone.

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
