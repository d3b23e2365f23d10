//! Which HTTP requests may be sent twice.

mod buffered;
mod requests;

pub use self::{
    buffered::BufferedBody,
    requests::{Cloned, CopyBody, HttpRequests, copy_request, only_empty},
};
