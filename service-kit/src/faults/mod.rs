//! Fault injection: the service misbehaves on purpose, by route and by share, while a switch is on.
//!
//! A request that has begun to suffer keeps its fate: switching off changes what happens to later requests and does not
//! release those already hanging, as in the outages it imitates. Off, the layer costs one atomic load.

//!
//! ```toml
//! [faults]
//! enabled = true      # POST /fail/on and /fail/off exist
//! simulate = false    # begin with the switch off
//!
//! [[faults.rule]]     # the first rule whose route fits, and whose share takes the request, decides
//! routes = ["/products", "/products/{id}"]
//! kind = "hang"       # status | latency | hang | reset | truncate | stall
//! status = 503        # of status and hang
//! delay = "0s"        # of latency, hang, reset and stall: uniform from delay to delay_max
//! delay_max = "5s"
//! share = 1.0         # of the requests to these routes
//! seed = 7            # the same dice every time
//! ```

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
