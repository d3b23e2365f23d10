fn main() -> std::process::ExitCode {
    product_svc::main(std::env::args_os())
}
