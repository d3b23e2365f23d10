//! Of two, the one with fewer requests under way for its weight.

use super::super::group::Member;

/// Requests under way, of all workers, per weight.
#[inline]
pub(super) fn cost(member: &Member) -> f64 {
    f64::from(member.endpoint.in_flight()) / f64::from(member.weight)
}
