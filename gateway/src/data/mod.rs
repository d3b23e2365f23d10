//! The data plane: everything a proxied request passes through.
//!
//! A request arrives at a [`worker`], is let in ([`admit`]) and routed ([`route`]), becomes the upstream's ([`headers`]), and goes through the
//! guards of its route ([`stack`]) to an endpoint ([`upstream`]). Its answer comes back the same way, as it is read.

pub mod admit;
pub mod answer_check;
pub mod background;
pub mod body;
pub mod discovery;
pub mod endpoints;
pub mod exchange;
pub mod headers;
pub mod health;
pub mod hedge;
pub mod host;
pub mod listeners;
pub mod maybe;
pub mod path;
pub mod plane;
pub mod proxy;
pub mod retry;
pub mod route;
pub mod stack;
pub mod tls;
pub mod tunnel;
pub mod upstream;
pub mod verdict;
pub mod worker;
