//! Fault injection: the service misbehaves on purpose, by route and by share, while a switch is on.
//!
//! A request that has begun to suffer keeps its fate: switching off changes what happens to later requests and does not
//! release those already hanging, as in the outages it imitates. Off, the layer costs one atomic load.

mod body;
mod future;
mod layer;
mod pattern;
mod plan;
mod reset;
mod routes;
mod rules;
mod switch;

pub use layer::{FaultLayer, FaultService};
pub(crate) use reset::ResetConnection;
pub(crate) use routes::switch_routes;
pub use rules::FaultSettings;
pub use switch::FaultSwitch;
