//! Bodies on their way: of requests to upstreams, and of answers to clients.

mod error;
mod outgoing;
mod replay;
mod response;
#[cfg(test)]
pub mod testing;

pub use error::RequestBodyError;
pub use outgoing::Outgoing;
pub use response::ResponseBody;
