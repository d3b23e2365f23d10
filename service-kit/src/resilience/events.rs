//! Every transition of a breaker: one log event. What is counted is published by the registry.

use tower_breaker::{State, Transition};

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
}
