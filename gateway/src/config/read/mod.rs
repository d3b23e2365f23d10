//! From what is written to [`Gateway`]. Every part reads its keys and checks them at once; only what the parts have to do with each
//! other (names, routes, inherited policies) is put together afterwards. What is wrong is noted where it stands, and reading goes
//! on, so that everything wrong is said in one go.

mod discovery;
mod endpoint_health;
mod fields;
mod guards;
mod levels;
mod names;
mod parse;
mod routes;
mod server;
mod upstream;

use service_kit::config::Section;

use super::{
    keys::ROOT,
    model::{Discovery, Gateway, Protocol, Upstream},
    validated::ProductDetails,
};
use fields::Fields;
use levels::Level;
use names::Names;

/// Reads and checks the whole configuration; everything that is wrong is noted in the section.
pub fn read(root: &mut Section<'_>) -> Gateway {
    let mut fields = Fields::new(root.clone(), &ROOT);
    let workers = server::workers(&mut fields);
    let zone = fields.parsed("zone", parse::name);
    let listeners = server::listeners(&mut fields);
    let limits = server::limits(&mut fields);
    let forwarding = server::forwarding(&mut fields);
    refuse_faults(fields.section());
    let access_log = fields.table_or_empty("access_log").flag("enabled");
    let defaults = Level::read(fields.table_or_empty("defaults"), "defaults");

    let (mut upstreams, levels): (Vec<_>, Vec<_>) = fields
        .named("upstreams")
        .into_iter()
        .map(|(name, table)| {
            if parse::name(&name).is_none() {
                let allowed = "upstreams whose names are made of letters, digits, \"-\", \"_\", \".\" and \":\"";
                fields.reject("upstreams", allowed);
            }
            upstream::read(&name, table)
        })
        .unzip();
    for (upstream, level) in upstreams.iter_mut().zip(&levels) {
        (upstream.policy, upstream.probe) =
            levels::of_upstream(&upstream.name, level, &defaults, is_plain(upstream));
    }

    let names = Names::of(&upstreams);
    let product_details = fields
        .table("product_details")
        .map(|mut table| product_details(&mut table, &names, &upstreams));
    let guards = routes::Guards {
        upstreams: &upstreams,
        levels: &levels,
        defaults: &defaults,
    };
    let routes = routes::read(&mut fields, &names, product_details.is_some(), &guards);
    Gateway {
        workers,
        zone,
        listeners,
        limits,
        forwarding,
        access_log,
        upstreams,
        routes,
        product_details: product_details.flatten(),
    }
}

/// Faults are injected by services into their own answers; a proxy passes on what it gets.
fn refuse_faults(root: &mut Section<'_>) {
    if let Some(mut faults) = root.section("faults")
        && faults.boolean("enabled", false)
    {
        faults.reject("enabled", "false: the gateway injects no faults of its own");
    }
}

/// Whether the gateway's own client can ask it.
fn is_plain(upstream: &Upstream) -> bool {
    let Discovery::Static(endpoints) = &upstream.discovery else {
        return false;
    };
    upstream.protocol != Protocol::Http2 && endpoints.iter().all(|endpoint| !endpoint.https)
}

fn product_details(
    table: &mut Fields<'_>,
    names: &Names,
    upstreams: &[Upstream],
) -> Option<ProductDetails> {
    let mut find = |key| {
        let found = names.find(table, key)?;
        if upstreams
            .get(found.index())
            .is_some_and(|upstream| !is_plain(upstream))
        {
            let allowed = format!("another upstream: {}", levels::PLAIN);
            table.reject(key, &allowed);
        }
        Some(found)
    };
    let product = find("product");
    let recommendations = find("recommendations");
    let fallback = table.flag("fallback");
    Some(ProductDetails {
        product: product?,
        recommendations: recommendations?,
        fallback,
    })
}

#[cfg(test)]
mod tests;
