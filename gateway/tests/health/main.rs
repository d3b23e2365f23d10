//! Active health checks: against endpoints in memory and in paused time, and against sockets.

mod answers;
mod follow;
mod pace;
mod sockets;
mod support;
