//! `[upstreams.NAME]`.

use super::{
    HOUR, Is, Otherwise, Table, duration, integer, key, no_text, number, policy, required, table,
    text, word,
};

const DAY: u64 = 24 * HOUR;

pub(super) const UPSTREAM: Table = Table {
    about: "A service behind the gateway. Exactly one of `url`, `endpoints` and `discovery` says where it is.",
    keys: &[
        &[
            key(
                "url",
                (Is::Url, Otherwise::Absent("`endpoints` or `discovery`")),
                "Its only endpoint. A path in it is put before every request's.",
            ),
            key(
                "endpoints",
                (
                    Is::Endpoints(&ENDPOINT),
                    Otherwise::Absent("`url` or `discovery`"),
                ),
                ENDPOINT.about,
            ),
            key(
                "discovery",
                table(&DISCOVERY, "`url` or `endpoints`"),
                DISCOVERY.about,
            ),
            key(
                "connect_timeout",
                duration(1, 600_000, 1_000),
                "For making a connection, TLS included.",
            ),
            key(
                "pool_idle",
                duration(0, HOUR, 20_000),
                "How long an unused connection is kept.",
            ),
            key(
                "pool_max_idle",
                integer(0, 65_536, 256),
                "Unused connections kept for an endpoint, by each worker.",
            ),
            key(
                "protocol",
                word(&["auto", "http1", "http2"], "auto"),
                "How it is spoken to. \"auto\" is what ALPN agrees on with https, else HTTP/1.1; \"http2\" is by prior knowledge, \
                 and so not for https.",
            ),
            key(
                "tls",
                table(&CLIENT_TLS, "the system's authorities"),
                CLIENT_TLS.about,
            ),
            key(
                "balancer",
                word(
                    &[
                        "round_robin",
                        "weighted",
                        "least_request",
                        "p2c_ewma",
                        "consistent_hash",
                    ],
                    "p2c_ewma",
                ),
                "How an endpoint is chosen: in turn; in turn by weight; of two at random the less busy one; of two at random the one \
                 with less latency (peak EWMA) times load; by a hash of the request.",
            ),
            key(
                "hash",
                no_text(
                    "\"path\", \"client\", \"header:NAME\" or \"cookie:NAME\"",
                    "required with balancer = \"consistent_hash\"",
                ),
                "What of a request is hashed.",
            ),
            key(
                "host",
                text(
                    "\"upstream\", \"preserve\" or a host with an optional port, such as \"shop.example\"",
                    "upstream",
                ),
                "What it sees in `Host`: the endpoint's own, what the client asked for, or always this.",
            ),
            key(
                "slow_start",
                duration(0, DAY, 0),
                "How long the share of a new endpoint, or of one that is well again, grows; \"0s\" for at once.",
            ),
            key("health", table(&HEALTH, "no checks"), HEALTH.about),
            key("ejection", table(&EJECTION, "no ejection"), EJECTION.about),
        ],
        policy::KEYS,
    ],
};

const ENDPOINT: Table = Table {
    about: "Its endpoints, each an address like \"http://10.0.0.1:80\" or a table.",
    keys: &[&[
        key("url", required(Is::Url), "Its address, without a path."),
        key(
            "weight",
            integer(1, 1_000_000, 1),
            "Its share of requests relative to the others'; not with \"round_robin\".",
        ),
        key(
            "zone",
            no_text(super::write::NAME, "in no zone"),
            "Where it stands.",
        ),
    ]],
};

const DISCOVERY: Table = Table {
    about: "Where endpoints are found: in a file that is watched, or by DNS. The last good answer is kept.",
    keys: &[&[
        key(
            "kind",
            required(Is::Word(&["file", "dns", "srv"])),
            "A file; the addresses (A and AAAA) of a name; the targets of its SRV records.",
        ),
        key(
            "path",
            (Is::File, Otherwise::Absent("required with kind = \"file\"")),
            "The file.",
        ),
        key(
            "interval",
            duration(10, HOUR, 1_000),
            "With kind = \"file\": how often it is looked at.",
        ),
        key(
            "name",
            no_text("a DNS name", "required with kind = \"dns\" and \"srv\""),
            "The name.",
        ),
        key(
            "port",
            (
                Is::Integer(1, 65_535),
                Otherwise::Absent("required with kind = \"dns\""),
            ),
            "With kind = \"dns\": the port of the addresses. SRV records have their own.",
        ),
        key(
            "scheme",
            word(&["http", "https"], "http"),
            "Whether endpoints speak TLS.",
        ),
        key(
            "nameserver",
            (Is::Address, Otherwise::Absent("the system's")),
            "Whom to ask.",
        ),
        key(
            "ttl_min",
            duration(100, DAY, 1_000),
            "Answers are kept at least so long,",
        ),
        key(
            "ttl_max",
            duration(100, DAY, 300_000),
            "and at most so long, whatever their time to live.",
        ),
        key("timeout", duration(10, 60_000, 2_000), "For one answer."),
    ]],
};

const CLIENT_TLS: Table = Table {
    about: "How its certificate is checked. Only with https.",
    keys: &[&[
        key(
            "ca",
            (Is::File, Otherwise::Absent("the system's authorities")),
            "PEM of the authorities that are trusted.",
        ),
        key(
            "server_name",
            no_text("a host name or an address", "the endpoint's host"),
            "The name that the certificate must be for.",
        ),
    ]],
};

const HEALTH: Table = Table {
    about: "Active checks of each endpoint.",
    keys: &[&[
        key(
            "kind",
            required(Is::Word(&["http", "grpc", "tcp"])),
            "A GET answered with 2xx; grpc.health.v1.Health/Check; a connection.",
        ),
        key(
            "path",
            text("a path to ask for, such as \"/health\"", "/health"),
            "With kind = \"http\": what is asked for.",
        ),
        key(
            "service",
            text("the name of a gRPC service", ""),
            "With kind = \"grpc\": the service; the empty one is the whole server.",
        ),
        key(
            "interval",
            duration(10, HOUR, 5_000),
            "Between two checks of an endpoint.",
        ),
        key(
            "timeout",
            duration(1, HOUR, 1_000),
            "For one; at most the interval.",
        ),
        key(
            "healthy_after",
            integer(1, 1_000, 2),
            "Good ones in a row after which an endpoint is well again.",
        ),
        key(
            "unhealthy_after",
            integer(1, 1_000, 3),
            "Bad ones in a row after which it is not.",
        ),
        key(
            "jitter",
            number(0.0, 1.0, 0.1),
            "The share of the interval that is random.",
        ),
    ]],
};

const EJECTION: Table = Table {
    about: "An endpoint whose requests fail is left out for a time.",
    keys: &[&[
        key(
            "consecutive_failures",
            integer(0, 1_000_000, 5),
            "After so many failures in a row; 0 for not by this rule.",
        ),
        key(
            "failure_rate",
            table(&EJECTION_RATE, "not by this rule"),
            EJECTION_RATE.about,
        ),
        key(
            "base",
            duration(1, DAY, 10_000),
            "The first time for so long, then twice as long each time,",
        ),
        key("max", duration(1, DAY, 300_000), "up to this."),
        key(
            "max_share",
            number(0.0, 1.0, 0.5),
            "The share of endpoints left out at most; one is always kept.",
        ),
        key(
            "panic_below",
            number(0.0, 1.0, 0.0),
            "If fewer than this share of all endpoints is well, all are used.",
        ),
    ]],
};

const EJECTION_RATE: Table = Table {
    about: "At a share of failures within a time.",
    keys: &[&[
        key("window", duration(10, DAY, 10_000), "The time."),
        key("threshold", number(0.01, 1.0, 0.5), "The share."),
        key(
            "minimum_calls",
            integer(1, 100_000, 20),
            "Not before so many requests",
        ),
        key(
            "minimum_failures",
            integer(1, 100_000, 5),
            "and so many failures.",
        ),
    ]],
};
