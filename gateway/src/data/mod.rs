//! The data plane: everything a proxied request passes through.

pub mod admit;
pub mod body;
pub mod discovery;
pub mod headers;
pub mod health;
pub mod path;
pub mod probe;
pub mod proxy;
pub mod route;
pub mod stack;
pub mod upstream;
