//! The gateway's process.

/// Every request allocates a few small things and frees them soon, on the same thread: mimalloc is made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    gateway::main(std::env::args_os())
}
