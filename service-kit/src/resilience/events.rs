//! Every transition of a breaker: one log event, one count.

use tower_breaker::{State, Transition};

pub(crate) const TRANSITIONS: &str = "circuit_breaker_transitions_total";

pub(super) fn publish(transition: &Transition) {
    let (name, from, to) = (
        &*transition.name,
        transition.from.as_str(),
        transition.to.as_str(),
    );
    let (generation, cause) = (transition.generation, transition.cause);
    // An opening is what an operator must see at the usual level; the way back is good news.
    match transition.to {
        State::Open => {
            tracing::warn!(breaker = name, from, to, generation, %cause, "circuit opened")
        }
        _ => tracing::info!(breaker = name, from, to, generation, %cause, "circuit changed"),
    }
    ::metrics::counter!(TRANSITIONS, "breaker" => name.to_owned(), "from" => from, "to" => to)
        .increment(1);
}
