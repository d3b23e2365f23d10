//! Subcommands: what a service's program does besides being the service.

use crate::cli::{self, ServiceInfo};
use crate::config::{Loaded, Section};
use crate::output;
use crate::runtime::load;
use clap::ArgMatches;
use std::ffi::OsString;
use std::process::ExitCode;

/// A subcommand, such as `gateway explain PATH`.
#[derive(Debug, Clone, Copy)]
pub struct Command<C> {
    /// Its name.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Its arguments and flags, beside `--config` and `--set`.
    pub arguments: fn() -> Vec<clap::Arg>,
    /// What it does.
    pub run: Run<C>,
}

/// What a subcommand does.
#[derive(Debug, Clone, Copy)]
pub enum Run<C> {
    /// As `--check`: says whether the configuration is right.
    Check,
    /// Something that needs no configuration.
    Plain(fn(&ArgMatches) -> Answer),
    /// Something about a configuration that is right.
    Configured(fn(&ArgMatches, &Loaded<C>) -> Answer),
}

/// What a subcommand has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For stdout.
    pub text: String,
    /// The exit status: 0 for a yes, 1 for a no, 2 for a question that makes no sense.
    pub status: u8,
}

/// Does what a subcommand asks for. If none is given, the arguments come back: the program is then the service, which is
/// [`run`](crate::run)'s or [`run_own`](crate::run_own)'s to do.
///
/// # Errors
/// The arguments, of a command line without a subcommand.
pub fn run_command<C>(
    info: &ServiceInfo,
    args: impl IntoIterator<Item = OsString>,
    parse: fn(&mut Section<'_>) -> C,
    commands: &[Command<C>],
) -> Result<ExitCode, Vec<OsString>> {
    let args: Vec<OsString> = args.into_iter().collect();
    let known = commands.iter().map(|command| {
        clap::Command::new(command.name)
            .about(command.about)
            .args((command.arguments)())
    });
    let matches = match cli::command(info)
        .subcommands(known)
        .disable_help_subcommand(true)
        .try_get_matches_from(&args)
    {
        Ok(matches) => matches,
        Err(answer) => {
            let _ = answer.print();
            let status = if answer.use_stderr() { 2 } else { 0 };
            return Ok(ExitCode::from(status));
        }
    };
    let asked = matches.subcommand().and_then(|(name, inner)| {
        let command = commands.iter().find(|command| command.name == name)?;
        Some((command, inner))
    });
    let Some((command, inner)) = asked else {
        return Err(args);
    };
    let flags = cli::flags(&matches);
    let answer = match &command.run {
        Run::Plain(run) => run(inner),
        Run::Check | Run::Configured(_) => {
            let loaded = match load(info, &flags, parse) {
                Ok(loaded) => loaded.map(|(_, config)| config),
                Err(errors) => {
                    output::complain(info.name, &errors.to_string());
                    return Ok(ExitCode::from(2));
                }
            };
            match &command.run {
                Run::Configured(run) => run(inner, &loaded),
                _ => Answer {
                    text: format!("{}: ok\n", flags.source_name()),
                    status: 0,
                },
            }
        }
    };
    output::say(&answer.text);
    Ok(ExitCode::from(answer.status))
}
