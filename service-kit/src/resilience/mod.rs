//! Guards around calls to one upstream, built from its configuration.

mod policy;

pub use policy::Policy;
