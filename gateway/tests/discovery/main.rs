//! Discovery over the real thing: files that are written and replaced, and a name server on UDP and TCP that tests change while it
//! is being asked.

mod dns;
mod file;
mod fixed;
mod srv;
mod support;
