//! Tests of the set, its balancers and ejection as workers use them.

mod choosing;
mod ejecting;
mod hashing;
mod properties;
mod simulation;
mod support;
mod threads;
mod updating;
mod zones;
