//! Of two, the one that would be done sooner: peak EWMA of latency times requests under way (Finagle's).

use super::super::{group::Member, moment::Moment};

// In nanoseconds: longer than any latency. An endpoint that nothing is known of gets one request at a time until something is.
const UNKNOWN_AND_BUSY: f64 = 1e15;

/// How long a request would take, if those under way were done one after the other.
#[inline]
pub(super) fn cost(member: &Member, now: Moment) -> f64 {
    let in_flight = f64::from(member.endpoint.in_flight());
    let weight = f64::from(member.weight);
    match member.endpoint.latency().get(now) {
        Some(latency) => latency * (in_flight + 1.0) / weight,
        None if in_flight > 0.0 => (UNKNOWN_AND_BUSY + in_flight) / weight,
        None => 0.0,
    }
}
