//! Which tests look at which code.

/// A test target, and which of its tests are left out: those that take long, where quicker ones look at the same.
#[derive(PartialEq, Eq, Hash, Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    pub skip: &'static [&'static str],
}

/// The unit tests.
const LIB: Target = Target {
    name: "lib",
    skip: &[],
};

const fn test(name: &'static str) -> Target {
    Target { name, skip: &[] }
}

const BULKHEAD: &[Target] = &[
    LIB,
    test("bulkhead"),
    test("bulkhead_scenarios"),
    test("adaptive"),
    test("adaptive_scenarios"),
    test("bulkhead_end_of_body"),
    test("keyed"),
];

const BREAKER: &[Target] = &[
    LIB,
    test("model"),
    test("conformance"),
    test("breaker_defects"),
    test("breaker_edges"),
    test("breaker_probe"),
    test("breaker_cancellation"),
    test("breaker_hostile"),
    test("breaker_building"),
    test("breaker_service"),
    test("breaker_back_pressure"),
    test("breaker_totals"),
    test("breaker_config"),
    test("end_of_body"),
    test("stack"),
    test("breaker_threads"),
];

/// By the longest path, below `tower-breaker/src/`, that fits.
const AREAS: &[(&str, &[Target])] = &[
    ("bulkhead/", BULKHEAD),
    ("breaker/", BREAKER),
    (
        "keyed/",
        &[LIB, test("keyed"), test("guide"), test("full_stack")],
    ),
    (
        "classify/",
        &[
            LIB,
            test("classify_http"),
            test("classify_tower_http"),
            test("end_of_body"),
            test("stack"),
            test("breaker_service"),
        ],
    ),
    (
        "http/",
        &[
            LIB,
            test("end_of_body"),
            test("bulkhead_end_of_body"),
            test("stack"),
            test("full_stack"),
            test("keyed"),
        ],
    ),
    (
        "throttle/",
        &[
            LIB,
            test("throttle"),
            test("throttle_scenarios"),
            test("stack"),
            test("full_stack"),
            test("observe"),
        ],
    ),
    ("retry/", &[LIB, test("retry"), test("full_stack")]),
    (
        "fallback/",
        &[LIB, test("fallback"), test("stack"), test("full_stack")],
    ),
    (
        "",
        &[
            LIB,
            test("model"),
            test("conformance"),
            test("breaker_defects"),
            test("breaker_edges"),
            test("breaker_probe"),
            test("breaker_totals"),
            test("bulkhead"),
            test("keyed"),
            test("throttle"),
            test("stack"),
            test("breaker_threads"),
        ],
    ),
];

pub fn of(file: &str) -> &'static [Target] {
    let path = file.strip_prefix("tower-breaker/src/").unwrap_or(file);
    let fits = AREAS.iter().filter(|(area, _)| path.starts_with(area));
    let longest = fits.max_by_key(|(area, _)| area.len());
    longest.expect("the last fits everything").1
}
