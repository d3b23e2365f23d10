//! Extractors whose rejections tell the client exactly what to change.
//!
//! They stand in for axum's own of the same names: axum answers in plain text and folds several cases into one status.

mod json;
mod path;
mod query;
mod strict;
mod wording;

pub use json::Json;
pub use path::Path;
pub use query::Query;
