//! The flags every service takes.

use std::ffi::OsString;
use std::path::PathBuf;

/// What is particular to one service's process.
#[derive(Debug, Clone, Copy)]
pub struct ServiceInfo {
    /// The name in messages, logs and the announcement: `cart-svc`.
    pub name: &'static str,
    /// Normally `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// `CART_SVC`: variables such as `CART_SVC__LISTEN` set keys.
    pub env_prefix: &'static str,
    /// Variables outside the prefix and the keys they set: `("SIMULATE_FAILURE", "faults.simulate")`. A prefixed
    /// variable for the same key wins.
    pub env_aliases: &'static [(&'static str, &'static str)],
    /// The TOML text used when no `--config` is given. Its `listen` and `ops.listen` are also the defaults of those
    /// keys under a `--config`.
    pub default_config: &'static str,
    /// Further help, after the flags.
    pub after_help: &'static str,
}

/// The command line, parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub config: Option<PathBuf>,
    pub set: Vec<String>,
    pub check: bool,
    pub print_config: bool,
    pub stop_on_stdin_eof: bool,
}

impl Flags {
    /// What the configuration is read from, for messages.
    pub fn source_name(&self) -> String {
        match &self.config {
            Some(path) => path.display().to_string(),
            None => "built-in configuration".to_owned(),
        }
    }
}

/// Parses `args`, whose first is the program's name.
pub(crate) fn parse(
    info: &ServiceInfo,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Flags, clap::Error> {
    let matches = command(info).try_get_matches_from(args)?;
    Ok(flags(&matches))
}

pub(crate) fn flags(matches: &clap::ArgMatches) -> Flags {
    Flags {
        config: matches.get_one::<PathBuf>("config").cloned(),
        set: matches
            .get_many::<String>("set")
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        check: matches.get_flag("check"),
        print_config: matches.get_flag("print-config"),
        stop_on_stdin_eof: matches.get_flag("stop-on-stdin-eof"),
    }
}

pub(crate) fn command(info: &ServiceInfo) -> clap::Command {
    use clap::{Arg, ArgAction, value_parser};
    let environment = format!(
        "Environment variables set keys as well: {}__A__B=value sets a.b. Order, later over earlier: defaults, the \
         configuration file (or, without one, the built-in configuration), environment, --set.",
        info.env_prefix
    );
    let after_help = match info.after_help {
        "" => environment,
        more => format!("{environment}\n\n{more}"),
    };
    clap::Command::new(info.name)
        .bin_name(info.name)
        .version(info.version)
        .about(info.about)
        .after_help(after_help)
        .arg(
            Arg::new("config")
                .long("config")
                .short('c')
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .global(true)
                .help("Read this TOML file instead of the built-in configuration"),
        )
        .arg(
            Arg::new("set")
                .long("set")
                .value_name("KEY=VALUE")
                .action(ArgAction::Append)
                .global(true)
                .help("Set one key, such as ops.listen=127.0.0.1:0 (may be given many times)"),
        )
        .arg(
            Arg::new("check")
                .long("check")
                .action(ArgAction::SetTrue)
                .help("Validate the configuration and exit: 0 if it is right, 2 with every error if it is not"),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("Print the effective configuration with the origin of every value, and exit"),
        )
        .arg(Arg::new("stop-on-stdin-eof").long("stop-on-stdin-eof").action(ArgAction::SetTrue).hide(true))
}
