use super::{BackPressureService, Bulkhead, BulkheadService, PlacingService};

/// A service behind a bulkhead, as those around it need it that decide where a call belongs, or when it is ready. Implemented by this
/// library's own services only.
pub trait Guarded: sealed::Sealed {
    /// The handle that it asks for permits.
    #[doc(hidden)]
    fn handle(&mut self) -> &mut Bulkhead;

    /// Whether it said that it is ready only because the bulkhead was full.
    #[doc(hidden)]
    fn is_ready_to_refuse(&self) -> bool;
}

mod sealed {
    pub trait Sealed {}
}

impl<S, M, W, C> sealed::Sealed for BulkheadService<S, M, W, C> {}
impl<T, F> sealed::Sealed for PlacingService<T, F> {}
impl<T: Guarded> sealed::Sealed for BackPressureService<T> {}
#[cfg(feature = "http")]
impl<S, M, W, C, L> sealed::Sealed for super::end_of_body::EndOfBodyService<S, M, W, C, L> {}
