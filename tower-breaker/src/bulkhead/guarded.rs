use super::Bulkhead;

/// A service behind a bulkhead, as those around it need it that decide where a call belongs, or when it is ready.
pub trait Guarded {
    /// The handle that it asks for permits.
    #[doc(hidden)]
    fn handle(&mut self) -> &mut Bulkhead;

    /// Whether it said that it is ready only because the bulkhead was full.
    #[doc(hidden)]
    fn is_ready_to_refuse(&self) -> bool;
}
