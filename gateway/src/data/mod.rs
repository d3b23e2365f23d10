//! The data plane: everything a proxied request passes through.

pub mod admit;
pub mod answer_check;
pub mod body;
pub mod headers;
pub mod host;
pub mod path;
pub mod probe;
pub mod proxy;
pub mod route;
pub mod stack;
pub mod upstream;
