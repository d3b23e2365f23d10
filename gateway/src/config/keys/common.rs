//! The keys that every service has. They are read by service-kit; a test holds these to what it does.

use super::{
    HOUR, Is, Key, Otherwise, Table, duration, flag, integer, key, no_duration, number, required,
    size, table, text,
};

pub(super) const KEYS: &[Key] = &[
    key(
        "listen",
        (Is::Address, Otherwise::Text("127.0.0.1:8080")),
        "The public address; port 0 is any free one. HTTP/1.1, and HTTP/2 with prior knowledge.",
    ),
    key(
        "max_body",
        size(0, 1 << 30, 64 << 10),
        "Larger request bodies are answered 413.",
    ),
    key(
        "request_timeout",
        duration(0, HOUR, 0),
        "From a request to the head of its answer, then 503; \"0s\" for none.",
    ),
    key(
        "header_timeout",
        duration(10, HOUR, 30_000),
        "For a request's head to arrive, counted from its first byte.",
    ),
    key(
        "body_timeout",
        duration(0, HOUR, 30_000),
        "Between two pieces of a request's body, then 408; \"0s\" for none.",
    ),
    key("ops", table(&OPS, "all of its defaults"), OPS.about),
    key("log", table(&LOG, "all of its defaults"), LOG.about),
    key("drain", table(&DRAIN, "all of its defaults"), DRAIN.about),
    key("faults", table(&FAULTS, "no faults"), FAULTS.about),
];

const OPS: Table = Table {
    about: "The listener for operators: /livez, /readyz, /metrics, /breakers.",
    keys: &[&[key(
        "listen",
        (Is::Address, Otherwise::Text("127.0.0.1:9080")),
        "Its address; another one than the public one.",
    )]],
};

const LOG: Table = Table {
    about: "What is logged, and how.",
    keys: &[&[
        key(
            "level",
            text(
                "off, error, warn, info, debug or trace, also by target: \"info,hyper=warn\"",
                "info",
            ),
            "From which level on.",
        ),
        key(
            "format",
            (
                Is::Word(&["json", "text"]),
                Otherwise::Absent("text on a terminal, else json"),
            ),
            "How it is written.",
        ),
    ]],
};

const DRAIN: Table = Table {
    about: "How the process ends.",
    keys: &[&[
        key(
            "delay",
            duration(0, HOUR, 0),
            "Between failing readiness and closing the listeners, so that load balancers notice.",
        ),
        key(
            "limit",
            duration(0, HOUR, 20_000),
            "For what is in flight after that; then it is cut off.",
        ),
    ]],
};

const FAULTS: Table = Table {
    about: "Faults that are made on purpose, for tests.",
    keys: &[&[
        key(
            "enabled",
            flag(false),
            "Mounts POST /fail/on and POST /fail/off, and obeys the rules while on.",
        ),
        key("simulate", flag(false), "Begin with the switch on."),
        key(
            "rule",
            (Is::Tables(&RULE), Otherwise::Absent("none")),
            RULE.about,
        ),
    ]],
};

const RULE: Table = Table {
    about: "One fault.",
    keys: &[&[
        key(
            "routes",
            required(Is::Texts("path patterns, such as \"/products/{id}\"")),
            "Which paths it is about.",
        ),
        key(
            "kind",
            required(Is::Word(&[
                "status", "latency", "hang", "reset", "truncate", "stall",
            ])),
            "What happens.",
        ),
        key(
            "status",
            integer(400, 599, 503),
            "What is answered, if the kind answers.",
        ),
        key(
            "delay",
            duration(0, HOUR, 0),
            "How long it waits, at least; not with every kind.",
        ),
        key(
            "delay_max",
            no_duration(0, HOUR, "`delay`"),
            "How long it waits, at most.",
        ),
        key(
            "share",
            number(0.0, 1.0, 1.0),
            "The share of requests it happens to.",
        ),
        key(
            "seed",
            (
                Is::Integer(0, i64::MAX),
                Otherwise::Absent("another one each time"),
            ),
            "For a share that can be repeated.",
        ),
    ]],
};
