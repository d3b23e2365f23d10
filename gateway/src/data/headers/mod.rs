//! What a proxy must do to headers on their way through (RFC 9110 section 7.6, RFC 7239).
//!
//! Fields that speak to the next hop only are taken out in both directions, those that `Connection` names among them. What the
//! gateway vouches for (who the client is, what it asked for, the request's id) it says itself: what strangers send under these
//! names, or under names that some servers read as these, is replaced; what a trusted network sends is believed and continued.
//!
//! Cheap by three means. Names are looked at in one pass, and only those found are looked up ([`Names`]). What does not change on
//! a connection is made once for it ([`ConnectionFacts`]). What must be made for a request is written into a block that many
//! requests share ([`Scratch`]).

mod answer;
mod facts;
mod forwarding;
mod host;
mod names;
mod request_id;
mod scratch;
mod trailers;

pub use answer::{Answered, hide_endpoint};
pub use facts::ConnectionFacts;
pub use forwarding::{Asked, ForwardingPolicy, Prepared};
pub use host::set_host;
pub use names::Names;
pub use scratch::Scratch;
pub use trailers::clean_trailers;

#[cfg(test)]
mod tests;
