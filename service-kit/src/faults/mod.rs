//! Fault injection: the service misbehaves on purpose, by route and by share, while a switch is on.
//!
//! A request that has begun to suffer keeps its fate: switching off changes what happens to later requests and does not
//! release those already hanging, as in the outages it imitates.

mod reset;
mod rules;
mod switch;

pub(crate) use reset::ResetConnection;
pub use rules::FaultSettings;
pub use switch::FaultSwitch;
