//! Refusals and errors as HTTP responses.
//!
//! Two ways lead from a refusal to a response. A guard layer's `.respond()` answers its own refusals and leaves every
//! other error alone, so its error type stays the inner one. [`ErrorResponseLayer`] stands outermost, answers whatever
//! error comes out of the stack, and so makes the stack infallible, as axum's `Router::layer` asks.

pub(crate) mod body;
mod error_response;
mod problem;

pub use self::{
    error_response::{ErrorResponse, ErrorResponseFuture, ErrorResponseLayer},
    problem::{error_response, refused_response},
};
