//! The command line.

use std::path::PathBuf;

pub const USAGE: &str = "\
usage: cargo run --release --manifest-path rivals/Cargo.toml -- [--quick] [--check] [--json FILE]

  --quick      measure for some seconds instead of some minutes
  --check      fail unless tower-breaker is the fastest at every kind of work
  --json FILE  write the figures to FILE as well";

pub struct Options {
    pub quick: bool,
    pub check: bool,
    pub json: Option<PathBuf>,
}

pub enum Asked {
    Run(Options),
    Help,
}

pub fn from(mut args: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut options = Options {
        quick: false,
        check: false,
        json: None,
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => options.quick = true,
            "--check" => options.check = true,
            "--json" => options.json = Some(args.next().ok_or("--json wants a file")?.into()),
            "--help" | "-h" => return Ok(Asked::Help),
            other => return Err(format!("unknown argument `{other}`")),
        }
    }
    Ok(Asked::Run(options))
}
