//! Guards as metrics. The guards count for themselves; a scrape only copies.

use ::metrics::{counter, describe_counter, describe_gauge, gauge};
use tower_breaker::{Snapshot, State, bulkhead};

const STATE: &str = "circuit_breaker_state";
const CALLS: &str = "circuit_breaker_calls_total";
const REFUSED: &str = "circuit_breaker_refused_total";
const TRIALS: &str = "circuit_breaker_trials_total";
const SLOW: &str = "circuit_breaker_slow_calls_total";
const WOULD_REFUSE: &str = "circuit_breaker_would_refuse_total";
const LEASES: &str = "circuit_breaker_leases_expired_total";
const RUNNING: &str = "bulkhead_calls_in_flight";
const QUEUED: &str = "bulkhead_calls_queued";
const LIMIT: &str = "bulkhead_max_concurrent";
const ADMITTED: &str = "bulkhead_admitted_total";
const TURNED_AWAY: &str = "bulkhead_refused_total";

pub(crate) fn describe() {
    describe_gauge!(STATE, "1 for the state the circuit is in, 0 for the others");
    describe_counter!(CALLS, "Calls admitted by the circuit, by outcome");
    describe_counter!(REFUSED, "Calls refused by the circuit");
    describe_counter!(
        TRIALS,
        "Trial calls of the half-open circuit whose result counted, by outcome"
    );
    describe_counter!(SLOW, "Calls that took longer than the circuit allows");
    describe_counter!(
        WOULD_REFUSE,
        "Calls that a circuit in a dry run admitted and would have refused"
    );
    describe_counter!(LEASES, "Trial calls that did not finish within their lease");
    describe_counter!(
        crate::resilience::events::TRANSITIONS,
        "Changes of the circuit's state"
    );
    describe_gauge!(RUNNING, "Calls running in the bulkhead");
    describe_gauge!(QUEUED, "Calls waiting for the bulkhead");
    describe_gauge!(LIMIT, "Calls that may run in the bulkhead at once");
    describe_counter!(ADMITTED, "Calls admitted by the bulkhead");
    describe_counter!(TURNED_AWAY, "Calls refused by the bulkhead, by reason");
}

pub(super) fn breaker(snapshot: &Snapshot) {
    let name = || snapshot.name.to_string();
    for state in [State::Closed, State::Open, State::HalfOpen] {
        let now = if snapshot.state == state { 1.0 } else { 0.0 };
        gauge!(STATE, "breaker" => name(), "state" => state.as_str()).set(now);
    }
    let outcomes = [
        ("success", snapshot.succeeded),
        ("failure", snapshot.failed),
        ("ignored", snapshot.ignored),
        ("abandoned", snapshot.abandoned),
    ];
    for (outcome, calls) in outcomes {
        counter!(CALLS, "breaker" => name(), "outcome" => outcome).absolute(calls);
    }
    counter!(REFUSED, "breaker" => name()).absolute(snapshot.refused);
    counter!(SLOW, "breaker" => name()).absolute(snapshot.slow);
    counter!(WOULD_REFUSE, "breaker" => name()).absolute(snapshot.would_refuse);
    counter!(LEASES, "breaker" => name()).absolute(snapshot.leases_expired);
    for (outcome, trials) in [
        ("success", snapshot.trials_succeeded),
        ("failure", snapshot.trials_failed),
    ] {
        counter!(TRIALS, "breaker" => name(), "outcome" => outcome).absolute(trials);
    }
}

pub(super) fn bulkhead(snapshot: &bulkhead::Snapshot) {
    let name = || snapshot.name.to_string();
    gauge!(RUNNING, "bulkhead" => name()).set(snapshot.in_flight as f64);
    gauge!(QUEUED, "bulkhead" => name()).set(snapshot.queued as f64);
    gauge!(LIMIT, "bulkhead" => name()).set(snapshot.max_concurrent as f64);
    counter!(ADMITTED, "bulkhead" => name()).absolute(snapshot.admitted);
    let refused = &snapshot.refused;
    let reasons = [
        ("full", refused.full),
        ("queue_full", refused.queue_full),
        ("waited_too_long", refused.waited_too_long),
    ];
    for (reason, calls) in reasons {
        counter!(TURNED_AWAY, "bulkhead" => name(), "reason" => reason).absolute(calls);
    }
}
