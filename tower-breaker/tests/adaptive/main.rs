//! A bulkhead whose limit finds itself, as a whole: on paused time, with an algorithm that does as it is told and writes down what it is shown.

#![allow(clippy::unwrap_used)]

mod building;
mod properties;
mod results;
mod serving;
mod support;
mod threads;
