//! The root, and the tables in it that are neither common nor an upstream's.

use super::{
    HOUR, Is, Key, Otherwise, Table, common, duration, flag, integer, key, no_text, policy,
    required, size, table, text, upstream, word,
};

/// The whole configuration.
pub const ROOT: Table = Table {
    about: "The configuration of the gateway.",
    keys: &[common::KEYS, OWN],
};

const OWN: &[Key] = &[
    key(
        "workers",
        integer(0, 1024, 0),
        "Threads that serve, each on its own with its own connections; 0 for one per core.",
    ),
    key(
        "zone",
        no_text(super::write::NAME, "no zone is preferred"),
        "Where this gateway stands; endpoints of the same zone are preferred.",
    ),
    key(
        "listener",
        (Is::Tables(&LISTENER), Otherwise::Absent("only `listen`")),
        LISTENER.about,
    ),
    key(
        "limits",
        table(&LIMITS, "all of its defaults"),
        LIMITS.about,
    ),
    key(
        "forwarding",
        table(&FORWARDING, "all of its defaults"),
        FORWARDING.about,
    ),
    key(
        "access_log",
        table(&ACCESS_LOG, "all of its defaults"),
        ACCESS_LOG.about,
    ),
    key("defaults", table(&DEFAULTS, "no guards"), DEFAULTS.about),
    key(
        "upstreams",
        (Is::Named(&upstream::UPSTREAM), Otherwise::Absent("none")),
        upstream::UPSTREAM.about,
    ),
    key(
        "route",
        (Is::Tables(&ROUTE), Otherwise::Absent("none")),
        ROUTE.about,
    ),
    key(
        "product_details",
        table(&PRODUCT_DETAILS, "no such page"),
        PRODUCT_DETAILS.about,
    ),
];

const LISTENER: Table = Table {
    about: "Another listener beside `listen`.",
    keys: &[&[
        key(
            "address",
            required(Is::Address),
            "What it binds; port 0 is any free one.",
        ),
        key(
            "name",
            no_text(super::write::NAME, "the address"),
            "Its name in logs and metrics; no two have the same.",
        ),
        key(
            "http2",
            flag(true),
            "Whether HTTP/2 is spoken: by ALPN with TLS, by prior knowledge without.",
        ),
        key("tls", table(&SERVER_TLS, "plain text"), SERVER_TLS.about),
    ]],
};

const SERVER_TLS: Table = Table {
    about: "The listener's certificate.",
    keys: &[&[
        key(
            "certificate",
            required(Is::File),
            "PEM: the chain, leaf first.",
        ),
        key("key", required(Is::File), "PEM: its private key."),
        key(
            "reload",
            duration(100, 24 * HOUR, 10_000),
            "How often the files are looked at for a change.",
        ),
    ]],
};

const LIMITS: Table = Table {
    about: "What clients may cost. `max_body`, `header_timeout` and `body_timeout` belong to it, but are common keys.",
    keys: &[&[
        key(
            "connections",
            integer(1, 1_000_000, 10_000),
            "Client connections open at once, over all listeners.",
        ),
        key(
            "requests_per_connection",
            integer(0, u32::MAX as i64, 0),
            "A connection is closed after so many requests; 0 for no bound.",
        ),
        key(
            "headers",
            integer(1, 10_000, 100),
            "Header fields in one head, in either direction.",
        ),
        key(
            "header_bytes",
            size(1 << 10, 16 << 20, 32 << 10),
            "Bytes of one head, in either direction.",
        ),
        key(
            "uri_bytes",
            size(64, 1 << 20, 8 << 10),
            "Bytes of a request target.",
        ),
        key(
            "idle_timeout",
            duration(100, 24 * HOUR, 60_000),
            "Between two requests of a connection; then it is closed.",
        ),
        key("http2", table(&HTTP2, "all of its defaults"), HTTP2.about),
    ]],
};

const HTTP2: Table = Table {
    about: "What one HTTP/2 connection may cost.",
    keys: &[&[
        key("streams", integer(1, 100_000, 128), "Streams open at once."),
        key(
            "resets",
            integer(1, 1_000_000, 200),
            "Streams that were reset before they were answered, until the connection is closed (CVE-2023-44487).",
        ),
        key(
            "header_list",
            size(1 << 10, 16 << 20, 32 << 10),
            "Bytes of a decoded header list.",
        ),
        key(
            "window",
            size(65_535, (1 << 31) - 1, 1 << 20),
            "Bytes that may be in flight before they are read, per connection; a stream gets the same.",
        ),
    ]],
};

const FORWARDING: Table = Table {
    about: "What upstreams are told of clients.",
    keys: &[&[
        key(
            "trusted",
            (Is::Texts(super::write::NETWORK), Otherwise::Texts(&[])),
            "Proxies whose forwarding headers are believed and continued. What others send is replaced.",
        ),
        key(
            "headers",
            word(&["both", "x-forwarded", "forwarded", "none"], "both"),
            "Which headers say it: `Forwarded` (RFC 7239), `X-Forwarded-For`, `-Proto` and `-Host`, both or none.",
        ),
        key(
            "via",
            text("a token: letters, digits and !#$%&'*+-.^_`|~", "gateway"),
            "The gateway's pseudonym in `Via`.",
        ),
        key(
            "request_id",
            flag(true),
            "Whether each request gets an `x-request-id`, and each answer says it.",
        ),
    ]],
};

const ACCESS_LOG: Table = Table {
    about: "One event per request.",
    keys: &[&[key(
        "enabled",
        flag(true),
        "Whether there is one, at level info.",
    )]],
};

const DEFAULTS: Table = Table {
    about: "The policy of every upstream that does not say otherwise. Each upstream gets guards of its own.",
    keys: &[policy::KEYS],
};

const ROUTE: Table = Table {
    about: "Which requests go where. The most specific route wins: by host, path, number of headers, method.",
    keys: &[
        &[
            key(
                "path",
                required(Is::Text(
                    "a path: \"/exact\", \"/one/{segment}\" or \"/below/{*rest}\"",
                )),
                "Its path.",
            ),
            key(
                "host",
                no_text(super::write::HOST_PATTERN, "any host"),
                "Only requests for this host, or for hosts below one.",
            ),
            key(
                "methods",
                (Is::Texts(super::write::METHOD), Otherwise::Texts(&[])),
                "Only these methods; with an empty list all. A path whose methods are all others is answered 405.",
            ),
            key(
                "headers",
                (
                    Is::TextTable("the name and the value of a header"),
                    Otherwise::Absent("none"),
                ),
                "Only requests with all of these headers, each with exactly this value.",
            ),
            key(
                "upstream",
                required(Is::Text("the name of an upstream")),
                "Where they go.",
            ),
        ],
        policy::KEYS,
    ],
};

const PRODUCT_DETAILS: Table = Table {
    about: "Serves GET /product-details/{id}, a page made from two upstreams.",
    keys: &[&[
        key(
            "product",
            required(Is::Text("the name of an upstream")),
            "Without its answer there is no page.",
        ),
        key(
            "recommendations",
            required(Is::Text("the name of an upstream")),
            "What goes with it.",
        ),
        key(
            "fallback",
            flag(false),
            "Whether the page goes out without recommendations when they fail.",
        ),
    ]],
};
