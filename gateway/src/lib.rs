//! gateway
pub mod data;
use std::{ffi::OsString, process::ExitCode};

/// Runs the service with these command-line arguments (the first is the program's name).
pub fn main(_args: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::FAILURE
}
