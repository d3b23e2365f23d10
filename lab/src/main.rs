//! `lab`: starts the real services as separate processes, loads them, breaks a dependency, and shows with numbers and
//! pictures what protection buys. `cargo run --release` in a fresh clone runs it.

mod app;
mod cli;
mod console;
mod error;
mod experiments;
mod load;
mod output;
mod processes;
mod report;
mod serve;
mod signals;

fn main() -> std::process::ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    match serve::requested(&args) {
        Some(request) => serve::run(request),
        None => app::main(args),
    }
}
