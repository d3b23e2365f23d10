//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::experiments::Mode;

/// Shows what a circuit breaker buys, on real services.
///
/// Each experiment starts the shop's services as separate processes on free loopback ports, sends the same load to an
/// unprotected and a protected variant at the same time, breaks a dependency, repairs it, and compares. It ends with a
/// table that sets our figures beside the published ones, claims that were checked against what was measured, and a
/// report with charts.
#[derive(Debug, Parser)]
#[command(name = "lab", version, after_help = AFTER_HELP)]
pub struct Cli {
    /// Short phases: both experiments in less than two minutes (this is the default)
    #[arg(long, conflicts_with_all = ["full", "smoke"])]
    pub quick: bool,

    /// The published durations and user counts: both experiments in about nine minutes
    #[arg(long, conflicts_with = "smoke")]
    pub full: bool,

    /// Phases of a second or two, to test the lab itself; too short to measure anything
    #[arg(long, hide = true)]
    pub smoke: bool,

    /// Say which experiments there are, and stop
    #[arg(long)]
    pub list: bool,

    /// Run only these experiments, for example `--only outage`
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = crate::experiments::names())]
    pub only: Vec<String>,

    /// Seed of every random choice the simulated users make
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Write the report to standard output as JSON instead of tables (progress stays on standard error)
    #[arg(long)]
    pub json: bool,

    /// Where reports, pictures and the services' logs go [default: target/lab in the workspace]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// No progress bar and no progress lines
    #[arg(long)]
    pub no_progress: bool,
}

const AFTER_HELP: &str = "\
Examples:
  lab                          both experiments, quick
  lab --list                   what there is to run
  lab --only outage --seed 7   one experiment, other dice
  lab --full --out /tmp/lab    as long as the published runs, reports in /tmp/lab
  lab --json > report.json     for another program

Through cargo, options go after two dashes: cargo run --release -- --only outage

Files written to DIR:
  report.html  open it in a browser; it needs no network
  report.json  the same for programs
  NAME.svg     the picture of an experiment
  logs/        what each service wrote
  config/      what each service was started with: the shipped file, and what was set beside it

Exit status:
  0    every claim held
  1    a claim failed, or the run could not be finished
  2    wrong usage
  130  stopped by Ctrl-C, after every service was stopped; a second Ctrl-C kills them at once";

impl Cli {
    pub fn mode(&self) -> Mode {
        match (self.full, self.smoke) {
            (true, _) => Mode::Full,
            (_, true) => Mode::Smoke,
            _ => Mode::Quick,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("lab").chain(args.iter().copied()))
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn quick_is_the_default() {
        assert_eq!(parse(&[]).unwrap().mode(), Mode::Quick);
        assert_eq!(parse(&["--quick"]).unwrap().mode(), Mode::Quick);
        assert_eq!(parse(&["--full"]).unwrap().mode(), Mode::Full);
        assert!(parse(&["--full", "--quick"]).is_err());
    }

    #[test]
    fn only_takes_known_names_in_one_word_or_several() {
        assert_eq!(
            parse(&["--only", "outage,gateway"]).unwrap().only,
            ["outage", "gateway"]
        );
        assert_eq!(
            parse(&["--only", "gateway", "--only", "outage"])
                .unwrap()
                .only,
            ["gateway", "outage"]
        );
        let message = parse(&["--only", "outrage"]).unwrap_err().to_string();
        assert!(
            message.contains("outage") && message.contains("gateway"),
            "{message}"
        );
    }
}
