//! What becomes of a request: its route, its upstream, the endpoints, every guard on the way with its numbers, and where each
//! number was written.

mod settings;
mod stack;
mod text;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use service_kit::config::Loaded;

use super::{
    model::{Discovery, Gateway, Route, Upstream},
    routing::{self, Target},
};
use crate::data::{
    path::SafePath,
    route::{Found, Key},
};
use settings::{Settings, place};

pub use settings::Line;
pub use stack::Guard;

/// The request that is asked about.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// The host it asks for, without a port.
    pub host: Option<String>,
    /// Its path, as it stands in a request line.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
}

/// What becomes of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Explanation {
    /// It is not let in.
    Refused {
        /// 400.
        status: u16,
        /// Why not.
        reason: String,
    },
    /// No route takes it.
    NoRoute {
        /// 404.
        status: u16,
    },
    /// Routes take it, but with other methods.
    MethodNotAllowed {
        /// 405.
        status: u16,
        /// The methods.
        allow: Vec<String>,
    },
    /// The gateway answers itself.
    Own,
    /// It goes to an upstream.
    Routed(Box<Routed>),
}

/// The way of a request to an upstream.
#[derive(Debug, Serialize)]
pub struct Routed {
    /// Which requests the route takes.
    pub route: String,
    /// The route's own keys.
    pub route_keys: Vec<Line>,
    /// The upstream's name.
    pub upstream: String,
    /// How the upstream is spoken to, and how its endpoints are chosen.
    pub upstream_keys: Vec<Line>,
    /// Its endpoints, or how they are found.
    pub endpoints: Vec<Vec<Line>>,
    /// What the call goes through, outermost first.
    pub stack: Vec<Guard>,
    /// What it could go through besides.
    pub not_configured: Vec<&'static str>,
}

/// Explains what becomes of a request.
#[must_use]
pub fn explain(loaded: &Loaded<Gateway>, request: &Request) -> Explanation {
    let path = match SafePath::parse(&request.path) {
        Ok(path) => path,
        Err(error) => {
            return Explanation::Refused {
                status: 400,
                reason: error.to_string(),
            };
        }
    };
    let key = Key {
        host: request.host.as_deref(),
        path: &path,
        method: &request.method,
        headers: &request.headers,
    };
    let table = routing::table(&loaded.value);
    match table.find(&key) {
        Found::None => Explanation::NoRoute { status: 404 },
        Found::MethodNotAllowed(allow) => Explanation::MethodNotAllowed {
            status: 405,
            allow: allow.methods().iter().map(Method::to_string).collect(),
        },
        Found::Route(Target::Own) => Explanation::Own,
        Found::Route(Target::Route(at)) => routed(loaded, *at),
    }
}

fn routed(loaded: &Loaded<Gateway>, at: usize) -> Explanation {
    let gateway = &loaded.value;
    let found = gateway
        .routes
        .get(at)
        .and_then(|route| Some((route, gateway.upstreams.get(route.upstream)?)));
    let Some((route, upstream)) = found else {
        // The table was made of these routes, and their upstreams were looked up when they were read.
        return Explanation::NoRoute { status: 404 };
    };
    let settings = Settings::of(loaded);
    let number = at.to_string();
    let levels = [
        &["route", number.as_str()][..],
        &["upstreams", &upstream.name],
        &["defaults"],
    ];
    let (stack, not_configured) = stack::guards(&settings, levels, &route.policy, upstream);
    Explanation::Routed(Box::new(Routed {
        route: title(route),
        route_keys: settings.under(levels[0], |rest| {
            matches!(
                rest,
                ["path" | "host" | "methods" | "upstream"] | ["headers", _]
            )
        }),
        upstream: upstream.name.to_string(),
        upstream_keys: settings.under(levels[1], |rest| match rest {
            [key] => stack::UPSTREAM_KEYS.contains(key),
            [table, ..] => stack::UPSTREAM_TABLES.contains(table),
            [] => false,
        }),
        endpoints: endpoints(&settings, levels[1], upstream),
        stack,
        not_configured,
    }))
}

fn title(route: &Route) -> String {
    match route.rule() {
        Some(rule) => rule.to_string(),
        None => route.path.to_string(),
    }
}

fn endpoints(settings: &Settings<'_>, level: &[&str], upstream: &Upstream) -> Vec<Vec<Line>> {
    let Discovery::Static(endpoints) = &upstream.discovery else {
        return vec![settings.under(level, |rest| rest.first() == Some(&"discovery"))];
    };
    let one = settings.under(level, |rest| rest == ["url"]);
    if !one.is_empty() {
        return vec![one];
    }
    (0..endpoints.len())
        .map(|number| {
            let number = number.to_string();
            settings.under(&place(level, &["endpoints", &number]), |_| true)
        })
        .collect()
}

impl Request {
    /// A request as the command line has it.
    ///
    /// # Errors
    /// What makes no sense about it.
    pub fn parse<'a>(
        path: &str,
        host: Option<&str>,
        method: &str,
        headers: impl Iterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let method = method
            .parse()
            .map_err(|_| format!("--method {method}: not a method"))?;
        let mut map = HeaderMap::new();
        for header in headers {
            let (name, value) = header
                .split_once('=')
                .and_then(|(name, value)| {
                    let name: HeaderName = name.trim().parse().ok()?;
                    Some((name, HeaderValue::from_str(value).ok()?))
                })
                .ok_or_else(|| format!("--header {header}: not like name=value"))?;
            map.append(name, value);
        }
        let uri: http::Uri = path
            .parse()
            .map_err(|_| format!("{path}: not a path, such as /products/7"))?;
        // A whole address is welcome, too: it is what one has at hand.
        let named = uri.host().map(str::to_owned);
        Ok(Self {
            method,
            host: host.map(|host| without_port(host).to_owned()).or(named),
            path: uri.path().to_owned(),
            headers: map,
        })
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !name.is_empty()
                && port.bytes().all(|it| it.is_ascii_digit())
                && !name.ends_with(':') =>
        {
            name
        }
        _ => host,
    }
}
