//! The policy keys, which `[defaults]`, upstreams and routes have.

use super::{
    HOUR, Is, Key, Otherwise, Table, duration, flag, integer, key, no_duration, no_text, number,
    required, size, table, text, word,
};

const DAY: u64 = 24 * HOUR;
const INHERITED: &str = "as on the level above; on none: no such guard";

pub(super) const KEYS: &[Key] = &[
    key(
        "timeout",
        no_duration(0, HOUR, "as on the level above; on none: no bound"),
        "For one attempt, from its first byte to the head of its answer; \"0s\" for no bound.",
    ),
    key(
        "body_idle_timeout",
        no_duration(0, HOUR, "as on the level above; on none: no bound"),
        "Between two pieces of an answer's body; \"0s\" for no bound.",
    ),
    key(
        "total_timeout",
        no_duration(0, DAY, "as on the level above; on none: no bound"),
        "For the whole exchange, to the last byte of the answer; \"0s\" for no bound.",
    ),
    key("fallback", table(&FALLBACK, INHERITED), FALLBACK.about),
    key("bulkhead", table(&BULKHEAD, INHERITED), BULKHEAD.about),
    key("breaker", table(&BREAKER, INHERITED), BREAKER.about),
    key("retry", table(&RETRY, INHERITED), RETRY.about),
    key("hedge", table(&HEDGE, INHERITED), HEDGE.about),
];

const ENABLED: &[Key] = &[key(
    "enabled",
    flag(true),
    "false switches the table off, and one that would be inherited.",
)];

const FALLBACK: Table = Table {
    about: "What is answered instead of an error.",
    keys: &[
        ENABLED,
        &[
            key("status", integer(200, 599, 200), "Its status."),
            key("body", required(Is::Text("a text")), "Its body."),
            key(
                "content_type",
                text("the value of a content-type header", "application/json"),
                "What the body is.",
            ),
            key(
                "on",
                (
                    Is::Words(&["refused", "failed"]),
                    Otherwise::Texts(&["refused", "failed"]),
                ),
                "Instead of a guard's refusal, of a failed call (a time-out among them), or of both.",
            ),
        ],
    ],
};

const BULKHEAD: Table = Table {
    about: "How many calls may be under way, each until its answer's body has ended.",
    keys: &[
        ENABLED,
        &[
            key(
                "max_concurrent",
                required(Is::Integer(1, 250_000)),
                "So many at once.",
            ),
            key(
                "max_queue",
                integer(0, 16_000, 0),
                "So many may wait besides.",
            ),
            key(
                "max_wait",
                no_duration(1, DAY, "until a place is free or the client goes away"),
                "For so long. Needs `max_queue`.",
            ),
        ],
    ],
};

const BREAKER: Table = Table {
    about: "The circuit breaker: no calls to what is not well. At least one of the two rules.",
    keys: &[
        ENABLED,
        &[
            key(
                "consecutive_failures",
                (
                    Is::Integer(1, 1_000_000),
                    Otherwise::Absent("not by this rule"),
                ),
                "Opens after so many failures in a row.",
            ),
            key(
                "failure_rate",
                table(&FAILURE_RATE, "not by this rule"),
                FAILURE_RATE.about,
            ),
            key(
                "open_for",
                duration(1, 30 * DAY, 30_000),
                "Before the first trial.",
            ),
            key("half_open_trials", integer(1, 255, 1), "Trials at once."),
            key(
                "success_threshold",
                integer(1, 255, 1),
                "Successful trials until it closes.",
            ),
            key(
                "recovery",
                word(&["lazy", "probe"], "lazy"),
                "Whether the first call after the wait is the trial, or a check in the background. The check is the upstream's: a \
                 route's own breaker has none.",
            ),
            key(
                "probe_path",
                no_text(
                    "a path to ask for, such as \"/health\"",
                    "required with recovery = \"probe\"",
                ),
                "What that check asks for.",
            ),
        ],
    ],
};

const FAILURE_RATE: Table = Table {
    about: "Opens at a share of failures of the last calls.",
    keys: &[&[
        key("window", integer(1, 100_000, 100), "So many calls."),
        key(
            "threshold",
            number(0.0, 1.0, 0.5),
            "The share; more than 0.",
        ),
        key(
            "minimum_calls",
            integer(1, 100_000, 20),
            "Not before so many calls; at most `window`, which is the default if it is smaller.",
        ),
    ]],
};

const RETRY: Table = Table {
    about: "Another attempt after a failed one, of idempotent requests and within a budget.",
    keys: &[
        ENABLED,
        &[
            key(
                "attempts",
                integer(2, 10, 2),
                "Attempts, the first included.",
            ),
            key(
                "methods",
                (Is::Texts(super::write::METHOD), Otherwise::Texts(&[])),
                "Methods that may be sent again beside the idempotent ones.",
            ),
            key(
                "body",
                size(0, 16 << 20, 64 << 10),
                "Request bodies up to this are kept for another attempt; larger ones are sent once.",
            ),
            key(
                "backoff",
                duration(0, 60_000, 25),
                "The longest first wait, of which a random part is taken; twice as much each further time,",
            ),
            key("backoff_max", duration(0, 60_000, 250), "up to this."),
            key(
                "budget",
                table(&BUDGET, "all of its defaults"),
                BUDGET.about,
            ),
            key(
                "retry_after",
                duration(0, 60_000, 1_000),
                "The longest `Retry-After` that is waited for; beyond it there is no further attempt.",
            ),
            key(
                "statuses",
                (
                    Is::Integers(400, 599),
                    Otherwise::Integers(&[502, 503, 504]),
                ),
                "Answers that are worth another attempt.",
            ),
        ],
    ],
};

const BUDGET: Table = Table {
    about: "How many further attempts there may be, over all workers.",
    keys: &[&[
        key(
            "ratio",
            number(0.0, 10.0, 0.2),
            "Per request that succeeded,",
        ),
        key(
            "per_second",
            integer(0, 1_000_000, 10),
            "and besides, per second.",
        ),
    ]],
};

const HEDGE: Table = Table {
    about: "A second attempt beside a slow first one, within the budget of `retry`, which it needs.",
    keys: &[
        ENABLED,
        &[
            key(
                "percentile",
                number(0.5, 0.999, 0.95),
                "Once the first takes longer than this share of recent ones did,",
            ),
            key("at_least", duration(1, 60_000, 10), "but not before this,"),
            key(
                "minimum_calls",
                integer(1, 1_000_000, 100),
                "and not before so many are known.",
            ),
        ],
    ],
};
