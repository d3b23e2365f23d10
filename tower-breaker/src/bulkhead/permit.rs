use std::{fmt, sync::Arc};

use super::gate::Gate;

/// The right to run one call. Dropping it gives it back, to the first waiter if somebody waits.
#[must_use = "dropping a permit gives it back at once"]
pub struct BulkheadPermit {
    gate: Arc<Gate>,
}

impl BulkheadPermit {
    // The caller has entered the gate and hands its duty to release over to the permit.
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

impl Drop for BulkheadPermit {
    fn drop(&mut self) {
        self.gate.release();
    }
}

impl fmt::Debug for BulkheadPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadPermit")
            .field("bulkhead", &self.gate.settings().name)
            .finish()
    }
}
