//! From text to a configuration that makes sense: [`keys`] are what may be written, [`read()`] makes [`model::Gateway`] of what is,
//! [`routing`] the table that requests are looked up in, [`explain`] says in words what becomes of a request.

pub mod explain;
pub mod keys;
pub mod model;
pub mod own;
pub mod routing;
pub mod validated;

mod read;

pub use read::read;
pub use validated::{ProductDetails, UpstreamId};
