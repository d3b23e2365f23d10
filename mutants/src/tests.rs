//! Which tests look at which code.

/// A test target, and which of its tests are run.
#[derive(PartialEq, Eq, Hash, Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    /// Those whose names have one of these in them; all if there are none.
    pub only: &'static [&'static str],
    /// Left out: they take long, and quicker ones look at the same.
    pub skip: &'static [&'static str],
}

const fn test(name: &'static str) -> Target {
    Target {
        name,
        only: &[],
        skip: &["stress::", "churn::"],
    }
}

/// The unit tests of these modules.
const fn unit(only: &'static [&'static str]) -> Target {
    Target {
        name: "lib",
        only,
        skip: &["threads_that_"],
    }
}

/// Those of the bulkhead's tests that show threads what they do to each other, after all that are quicker.
const STRESS: Target = Target {
    name: "bulkhead",
    only: &["stress::"],
    skip: &[],
};

/// By the longest path, below `tower-breaker/src/`, that fits.
const AREAS: &[(&str, &[Target])] = &[
    (
        "bulkhead/",
        &[
            unit(&["bulkhead::"]),
            test("bulkhead"),
            test("bulkhead_scenarios"),
            test("bulkhead_allocations"),
            test("adaptive"),
            test("adaptive_scenarios"),
            test("bulkhead_end_of_body"),
            STRESS,
        ],
    ),
    // What registries ask of them.
    (
        "bulkhead/handle",
        &[unit(&["bulkhead::"]), test("bulkhead"), test("keyed")],
    ),
    (
        "bulkhead/gate/take",
        &[
            unit(&["bulkhead::"]),
            test("bulkhead"),
            test("bulkhead_scenarios"),
            test("keyed"),
            STRESS,
        ],
    ),
    (
        "bulkhead/limit/",
        &[
            unit(&["bulkhead::limit"]),
            test("adaptive"),
            test("adaptive_scenarios"),
            test("bulkhead_allocations"),
        ],
    ),
    (
        "breaker/",
        &[
            unit(&["breaker::"]),
            test("model"),
            test("conformance"),
            test("breaker_defects"),
            test("breaker_edges"),
            test("breaker_probe"),
            test("breaker_cancellation"),
            test("breaker_building"),
            test("breaker_service"),
            test("breaker_back_pressure"),
            test("breaker_totals"),
            test("end_of_body"),
        ],
    ),
    // What registries ask of circuits.
    (
        "breaker/machine/rest",
        &[unit(&["breaker::"]), test("keyed")],
    ),
    (
        "keyed/",
        &[
            unit(&["keyed::"]),
            test("keyed"),
            test("keyed_memory"),
            Target {
                name: "keyed",
                only: &["stress::", "churn::"],
                skip: &[],
            },
        ],
    ),
    (
        "classify/",
        &[
            unit(&["classify::", "http::"]),
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
            unit(&["http::", "end_of_body::"]),
            test("end_of_body"),
            test("bulkhead_end_of_body"),
            test("stack"),
        ],
    ),
    (
        "throttle/",
        &[
            unit(&["throttle::"]),
            test("throttle"),
            test("throttle_scenarios"),
            test("throttle_allocations"),
            test("stack"),
        ],
    ),
    (
        "retry/",
        &[unit(&["retry::"]), test("retry"), test("full_stack")],
    ),
    (
        "fallback/",
        &[unit(&["fallback::"]), test("fallback"), test("full_stack")],
    ),
    (
        "",
        &[
            Target {
                name: "lib",
                only: &[],
                skip: &[],
            },
            test("breaker_defects"),
            test("breaker_totals"),
            test("throttle"),
            test("stack"),
        ],
    ),
];

pub fn of(file: &str) -> &'static [Target] {
    let path = file.strip_prefix("tower-breaker/src/").unwrap_or(file);
    let fits = AREAS.iter().filter(|(area, _)| path.starts_with(area));
    let longest = fits.max_by_key(|(area, _)| area.len());
    longest.expect("the last fits everything").1
}
