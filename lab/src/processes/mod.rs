//! The services as real processes: started, heard, watched, stopped.

mod announce;
mod child;
mod supervisor;

pub use announce::Announcement;
pub use child::Spec;
pub use supervisor::{Running, Supervisor};
