//! A registry of guards by key.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod churn;
mod layer;
mod model;
mod registry;
mod stress;
mod support;
