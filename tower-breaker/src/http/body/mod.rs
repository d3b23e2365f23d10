//! What the guards share that last to the end of a response's body: when a body is at its end, and when it has stalled.

mod carrying;
mod error;
mod length;
mod stall;

use self::length::Length;
pub(crate) use self::{
    carrying::{Carried, CarryingBody, left_of},
    length::Asked,
};
pub use self::{
    error::{BodyError, Stalled},
    stall::{NoStallLimit, StallAfter, StallLimit},
};
