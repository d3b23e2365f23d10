//! The data plane: everything a proxied request passes through.

pub mod admit;
pub mod headers;
pub mod path;
pub mod route;
