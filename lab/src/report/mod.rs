//! The report: one model, and its forms.

pub mod charts;
pub mod html;
mod markup;
pub mod model;
pub mod published;
pub mod terminal;
pub mod units;

#[cfg(test)]
mod samples;
