//! Where an upstream's endpoints come from.

use std::sync::Arc;

use http::Uri;
use service_kit::config::parse_web_url;

use super::{
    fields::{Fields, Item},
    parse,
};
use crate::config::{
    keys::duration_text,
    model::{Discovery, Dns, Endpoint},
};

/// What `url`, `endpoints` or `discovery` say.
pub(super) struct Place {
    pub discovery: Discovery,
    /// Of the one `url`.
    pub path_prefix: Arc<str>,
}

impl Place {
    /// Whether there may be endpoints with TLS, and such without. Of a file nobody knows.
    pub fn may_be(&self, https: bool) -> bool {
        match &self.discovery {
            Discovery::Static(endpoints) => {
                endpoints.iter().any(|endpoint| endpoint.https == https)
            }
            Discovery::File { .. } => true,
            Discovery::Dns(dns) | Discovery::Srv(dns) => dns.https == https,
        }
    }
}

pub(super) fn read(fields: &mut Fields<'_>) -> Option<Place> {
    let url = fields.url("url");
    let endpoints = fields.endpoints("endpoints");
    let discovery = fields
        .table("discovery")
        .map(|mut table| discovery(&mut table));
    let given: Vec<&str> = ["url", "endpoints", "discovery"]
        .into_iter()
        .filter(|key| fields.contains(key))
        .collect();
    match given[..] {
        ["url"] => Some(of_url(&url?)),
        ["endpoints"] => Some(place(Discovery::Static(of_list(fields, endpoints)))),
        ["discovery"] => discovery.flatten().map(place),
        [] => {
            fields.need("url");
            None
        }
        [first, ..] => {
            for key in given.iter().skip(1) {
                fields.reject(key, format!("nothing beside `{first}`"));
            }
            None
        }
    }
}

fn place(discovery: Discovery) -> Place {
    Place {
        discovery,
        path_prefix: "".into(),
    }
}

fn of_url(url: &Uri) -> Place {
    Place {
        discovery: Discovery::Static(vec![endpoint(url)]),
        path_prefix: url.path().trim_end_matches('/').into(),
    }
}

fn endpoint(url: &Uri) -> Endpoint {
    let https = url.scheme_str() == Some("https");
    let host = url.host().unwrap_or_default();
    Endpoint {
        host: host.trim_matches(['[', ']']).to_ascii_lowercase().into(),
        port: url.port_u16().unwrap_or(if https { 443 } else { 80 }),
        https,
        weight: 1,
        zone: None,
    }
}

fn of_list(fields: &mut Fields<'_>, items: Vec<Item<'_>>) -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let (read, mut table) = match item {
            Item::Url(text) => (parse_web_url(&text).and_then(|url| plain(&url)), None),
            Item::Table(mut table) => {
                let url = table.url("url");
                let weight = table.count("weight");
                let zone = table.parsed("zone", parse::name);
                // One that is wrong has been noted.
                let Some(url) = url else { continue };
                let read = plain(&url).map(|endpoint| Endpoint {
                    weight,
                    zone,
                    ..endpoint
                });
                (read, Some(table))
            }
        };
        let twice = |read: &Endpoint| {
            endpoints
                .iter()
                .any(|known| known.host == read.host && known.port == read.port)
        };
        let allowed = match read {
            Some(read) if !twice(&read) => {
                endpoints.push(read);
                continue;
            }
            Some(_) => "an address that no other endpoint has",
            None => {
                "an address like \"http://10.0.0.1:80\" or \"https://shop.example\", without a path"
            }
        };
        match &mut table {
            Some(table) => table.reject("url", allowed),
            None => fields.reject_item("endpoints", index, allowed),
        }
    }
    endpoints
}

/// A path would have to be the same for all, and has its place in `url`.
fn plain(url: &Uri) -> Option<Endpoint> {
    (url.path() == "/").then(|| endpoint(url))
}

fn discovery(table: &mut Fields<'_>) -> Option<Discovery> {
    let kind = table.word("kind");
    match kind.as_str() {
        "file" => {
            refuse(table, &kind, &["port"]);
            refuse(table, &kind, DNS_KEYS);
            file(table)
        }
        "dns" => {
            refuse(table, &kind, FILE_KEYS);
            table.need("port");
            let port = table.opt_integer("port");
            let port = port.and_then(|port| u16::try_from(port).ok());
            dns(table, port.unwrap_or(0)).map(Discovery::Dns)
        }
        "srv" => {
            refuse(table, &kind, FILE_KEYS);
            refuse(table, &kind, &["port"]);
            dns(table, 0).map(Discovery::Srv)
        }
        // Noted. What is wrong with the other keys can be said all the same.
        _ => {
            table.opt_integer("port");
            let _: (Option<Discovery>, Option<Dns>) = (file(table), dns(table, 0));
            None
        }
    }
}

const FILE_KEYS: &[&str] = &["path", "interval"];
const DNS_KEYS: &[&str] = &[
    "name",
    "scheme",
    "nameserver",
    "ttl_min",
    "ttl_max",
    "timeout",
];

/// Keys of another kind are not read, so that their defaults are not shown either.
fn refuse(table: &mut Fields<'_>, kind: &str, keys: &[&str]) {
    for key in keys {
        if table.contains(key) {
            table.reject(key, format!("nothing, with kind = {kind:?}"));
        }
    }
}

fn file(table: &mut Fields<'_>) -> Option<Discovery> {
    let is_file = table.word("kind") == "file";
    let path = table.file("path");
    if is_file {
        table.need("path");
    }
    let interval = table.duration("interval");
    Some(Discovery::File {
        path: path?,
        interval,
    })
}

fn dns(table: &mut Fields<'_>, port: u16) -> Option<Dns> {
    let is_dns = matches!(table.word("kind").as_str(), "dns" | "srv");
    let name = table.parsed("name", parse::host);
    if is_dns {
        table.need("name");
    }
    let https = table.word("scheme") == "https";
    let nameserver = table.address("nameserver");
    let (least, most) = (table.duration("ttl_min"), table.duration("ttl_max"));
    let timeout = table.duration("timeout");
    if least > most {
        let allowed = format!("at most `ttl_max`, {}", duration_text(most));
        table.reject("ttl_min", allowed);
    }
    Some(Dns {
        name: name?,
        port,
        https,
        nameserver,
        ttl: least..=most,
        timeout,
    })
}
