//! product-svc
use std::{ffi::OsString, process::ExitCode};

pub mod catalog;
pub mod recommendations;

/// Runs the service with these command-line arguments (the first is the program's name).
pub fn main(_args: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::FAILURE
}
