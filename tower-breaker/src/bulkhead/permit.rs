use std::{fmt, mem, sync::Arc};

use super::lane::Lane;

/// The right to run one call. Dropping it gives it back, to the first waiter if somebody waits.
#[must_use = "dropping a permit gives it back at once"]
pub struct BulkheadPermit {
    lane: Arc<Lane>,
}

impl BulkheadPermit {
    // The caller has entered the gate and hands its duty to release over to the permit.
    #[inline]
    pub(super) fn new(lane: Arc<Lane>) -> Self {
        Self { lane }
    }
}

/// Runs code of the inner service. If it panics, the permit is given back before the panic goes on.
#[inline]
pub(super) fn release_on_panic<T>(
    permit: &mut Option<BulkheadPermit>,
    run: impl FnOnce() -> T,
) -> T {
    struct Panicked<'a>(&'a mut Option<BulkheadPermit>);
    impl Drop for Panicked<'_> {
        fn drop(&mut self) {
            self.0.take();
        }
    }
    let watch = Panicked(permit);
    let value = run();
    mem::forget(watch);
    value
}

impl Drop for BulkheadPermit {
    #[inline]
    fn drop(&mut self) {
        self.lane.gate().release();
    }
}

impl fmt::Debug for BulkheadPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadPermit")
            .field("bulkhead", &self.lane.gate().settings().name)
            .finish()
    }
}
