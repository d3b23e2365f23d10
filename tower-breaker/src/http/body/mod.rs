//! What the guards share that last to the end of a response's body: when a body is at its end, and when it has stalled.

mod carrying;
mod error;
mod length;
mod stall;

pub(crate) use self::{
    carrying::{Carried, CarryingBody},
    length::{Asked, Length},
};
pub use self::{
    error::{BodyError, Stalled},
    stall::{NoStallLimit, StallAfter, StallLimit},
};
