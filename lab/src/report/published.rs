//! What the write-ups this lab reproduces have published. Nothing here is measured, and nothing here decides a claim.

/// A figure of theirs for each variant, as they printed it.
pub struct Published {
    pub unprotected: Option<&'static str>,
    pub protected: Option<&'static str>,
}

/// What the write-ups say nothing about.
pub const NOTHING: Published = Published {
    unprotected: None,
    protected: None,
};

const fn both(unprotected: &'static str, protected: &'static str) -> Published {
    Published {
        unprotected: Some(unprotected),
        protected: Some(protected),
    }
}

/// The shop during the failure, both variants under load at once.
pub mod outage {
    use super::{Published, both};

    pub const ADDS_FAILED: Published = both("65 % (944/1449)", "0.07 % (1/1423)");
    pub const VIEWS_FAILED: Published = both("69 % (285/412)", "0 % (0/398)");
    pub const MEDIAN: Published = both("1,900-2,000 ms", "110 ms");
    pub const THROUGHPUT: Published = both("10.5 req/s", "14.6 req/s");
    /// With the whole load on the unprotected variant alone.
    pub const ALONE_NOTE: &str = "Also published: with the whole load on the unprotected variant alone, adds failed 100 %, \
                                  with a median of 2,800 ms and a p99 of 5,900 ms.";
}

/// The two gateways while the recommendations hang.
pub mod gateway {
    use super::{Published, both};

    pub const MEAN: Published = both("30,011 ms", "5 ms");
    pub const THROUGHPUT: Published = both("2.93 req/s", "64.22 req/s");
    pub const PRODUCT_DELIVERED: Published = both("no", "yes");
}
