//! The experiments, one file each: its system, its load, its phases, its claims.

mod claims;
mod gateway;
mod ledger;
mod outage;
mod results;
mod system;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::error::LabError;
use crate::output::Output;
use crate::processes::Supervisor;
use crate::report::model;

/// How long the phases are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Seconds: for a first look and for CI.
    Quick,
    /// The published durations and user counts.
    Full,
    /// A moment: for tests of the lab itself.
    Smoke,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Quick => "quick",
            Mode::Full => "full",
            Mode::Smoke => "smoke",
        }
    }

    /// One of three values.
    pub fn pick<T>(self, smoke: T, quick: T, full: T) -> T {
        match self {
            Mode::Smoke => smoke,
            Mode::Quick => quick,
            Mode::Full => full,
        }
    }
}

/// What an experiment is given to work with.
pub struct Bench<'a> {
    pub mode: Mode,
    pub seed: u64,
    pub output: &'a Output,
    pub supervisor: &'a Supervisor,
    pub progress: bool,
}

type Run = for<'a> fn(&'a Bench<'a>) -> LocalBoxFuture<'a, Result<model::Experiment, LabError>>;

pub struct Experiment {
    pub name: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    /// How long the load lasts.
    pub length: fn(Mode) -> Duration,
    pub run: Run,
}

pub static ALL: [Experiment; 2] = [
    Experiment {
        name: outage::NAME,
        title: outage::TITLE,
        about: "Shoppers fill their carts while the product service hangs and fails.",
        length: outage::length,
        run: |bench| Box::pin(outage::run(bench)),
    },
    Experiment {
        name: gateway::NAME,
        title: gateway::TITLE,
        about: "A gateway joins products and recommendations; the recommendations hang.",
        length: gateway::length,
        run: |bench| Box::pin(gateway::run(bench)),
    },
];

/// For the command line: a known name, or an error that lists them.
pub fn names() -> clap::builder::PossibleValuesParser {
    ALL.iter()
        .map(|experiment| experiment.name)
        .collect::<Vec<_>>()
        .into()
}

/// Those asked for, in our order; all when none was named.
pub fn chosen(only: &[String]) -> impl Iterator<Item = &'static Experiment> {
    ALL.iter().filter(move |experiment| {
        only.is_empty() || only.iter().any(|name| name == experiment.name)
    })
}
