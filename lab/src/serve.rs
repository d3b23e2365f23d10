//! `lab serve SERVICE ARGS...`: this executable as one of the services, so that a fresh clone needs a single binary.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// A service's entry point, as its crate exports it.
pub type Entry = fn(Vec<OsString>) -> ExitCode;

/// The services this executable can be.
const SERVICES: [(&str, Entry); 3] = [
    ("product-svc", |args| product_svc::main(args)),
    ("cart-svc", |args| cart_svc::main(args)),
    ("gateway", |args| gateway::main(args)),
];

/// What stands after `lab serve`: the service's name followed by its own arguments.
pub struct Request {
    args: Vec<OsString>,
}

/// Recognised before clap sees the command line, so that every flag after the service's name belongs to the service.
pub fn requested(args: &[OsString]) -> Option<Request> {
    let is_serve = args.get(1).is_some_and(|word| word == "serve");
    is_serve.then(|| Request {
        args: args.get(2..).unwrap_or_default().to_vec(),
    })
}

/// Runs the service on this thread until it ends.
pub fn run(request: Request) -> ExitCode {
    let name = request
        .args
        .first()
        .map(OsString::as_os_str)
        .unwrap_or(OsStr::new(""));
    match SERVICES.iter().find(|(service, _)| name == *service) {
        Some((_, entry)) => entry(request.args),
        None => {
            let known: Vec<&str> = SERVICES.iter().map(|(service, _)| *service).collect();
            crate::console::complain(&format!(
                "`lab serve` needs the name of a service ({}), got `{}`",
                known.join(", "),
                name.to_string_lossy()
            ));
            ExitCode::from(2)
        }
    }
}
