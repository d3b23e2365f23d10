//! Names that have been resolved.

/// Where an upstream stands in [`Gateway::upstreams`](super::model::Gateway::upstreams). Only the reader makes one, so it always leads to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamId(usize);

/// The product page's two sources.
#[derive(Debug, Clone, Copy)]
pub struct ProductDetails {
    /// Without its answer there is no page.
    pub product: UpstreamId,
    /// What goes with it.
    pub recommendations: UpstreamId,
    /// Whether the page goes out without recommendations when they fail.
    pub fallback: bool,
}

impl UpstreamId {
    pub(super) fn at(place: usize) -> Self {
        Self(place)
    }

    /// Its place in anything that was made from these, in the same order.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}
