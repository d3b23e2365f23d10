//! Tests of the set, its balancers and ejection as workers use them.

mod choosing;
mod ejecting;
mod support;
mod updating;
mod zones;
