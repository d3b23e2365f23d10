fn main() -> std::process::ExitCode {
    cart_svc::main(std::env::args_os())
}
