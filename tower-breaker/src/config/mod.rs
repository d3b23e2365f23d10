//! What the configurations of all guards share: how values are written, and how what is wrong with them is told.

mod read;
mod values;

pub(crate) use self::{
    read::read,
    values::{Checked, Keyed, Limit, Table, Tables, Time, TimeOr},
};
