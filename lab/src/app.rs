//! The run from the command line to the exit status.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use tokio::time::Instant;

use crate::cli::Cli;
use crate::console;
use crate::error::LabError;
use crate::experiments::{self, Bench, Mode};
use crate::output::{self, Output};
use crate::processes::Supervisor;
use crate::report::model::{Machine, Report, SCHEMA, Unfinished};
use crate::report::terminal::Look;
use crate::report::{charts, html, terminal, units};
use crate::signals::Interrupts;

const CLAIM_FAILED: u8 = 1;

pub fn main(args: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = if cli.list {
        console::print(&list()).map(|()| ExitCode::SUCCESS)
    } else {
        start(&cli)
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            console::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn start(cli: &Cli) -> Result<ExitCode, LabError> {
    let output = Output::prepare(cli.out.clone().unwrap_or_else(output::default_root))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(LabError::Runtime)?;
    runtime.block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let supervisor = Supervisor::default();
        let finished = tokio::select! {
            report = run(cli, &output, &supervisor) => Ok(report),
            interrupt = interrupts.next() => Err(interrupt),
        };
        // The same on every way out: nothing is reported while a process of ours still runs.
        if finished.is_err() {
            console::complain("stopping every service; Ctrl-C again kills them at once");
        }
        tokio::select! {
            () = supervisor.stop_all() => {}
            _ = interrupts.next() => supervisor.kill_all().await,
        }
        match finished {
            Ok(report) => conclude(cli, &output, &report),
            Err(interrupt) => {
                console::complain(&format!(
                    "stopped by {}; every service has ended, no report was written",
                    interrupt.name()
                ));
                Ok(ExitCode::from(interrupt.exit_code()))
            }
        }
    })
}

async fn run(cli: &Cli, output: &Output, supervisor: &Supervisor) -> Report {
    let began = Instant::now();
    let started_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let bench = Bench {
        mode: cli.mode(),
        seed: cli.seed,
        output,
        supervisor,
        progress: !cli.no_progress,
    };
    let (mut finished, mut unfinished) = (Vec::new(), Vec::new());
    for experiment in experiments::chosen(&cli.only) {
        match (experiment.run)(&bench).await {
            Ok(done) => finished.push(done),
            // What the others measured is worth no less for it.
            Err(error) => unfinished.push(Unfinished {
                name: experiment.name,
                reason: error.to_string(),
            }),
        }
        supervisor.stop_all().await;
    }
    Report {
        schema: SCHEMA,
        mode: bench.mode.name(),
        seed: cli.seed,
        started_at,
        wall_seconds: began.elapsed().as_secs_f64(),
        machine: machine(),
        // The services are this very executable, so there is one version of everything.
        versions: BTreeMap::from([("lab", env!("CARGO_PKG_VERSION").to_owned())]),
        experiments: finished,
        unfinished,
    }
}

fn conclude(cli: &Cli, output: &Output, report: &Report) -> Result<ExitCode, LabError> {
    for broken in &report.unfinished {
        console::complain(&format!(
            "{} was not finished: {}",
            broken.name, broken.reason
        ));
    }
    if report.experiments.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let json = serde_json::to_string_pretty(report).map_err(|error| LabError::Control {
        what: "writing report.json".to_owned(),
        reason: error.to_string(),
    })?;
    output.write("report.json", &json)?;
    let page = output.write("report.html", &html::page(report))?;
    for experiment in &report.experiments {
        output.write(
            &format!("{}.svg", experiment.name),
            &charts::picture(experiment, false),
        )?;
    }
    if cli.json {
        console::print(&(json + "\n"))?;
    } else {
        let look = Look {
            colour: console::colour_on_stdout(),
            width: terminal::terminal_width(),
        };
        console::print(&terminal::tables(report, look))?;
        console::print(&format!(
            "\nTook {}. Open {} for the charts; report.json, the pictures and the services' logs are beside it.\n",
            units::seconds(report.wall_seconds),
            page.display()
        ))?;
    }
    if report.every_claim_holds() && report.unfinished.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for claim in report.claims().filter(|claim| !claim.holds) {
        console::complain(&format!(
            "claim failed: {} (measured: {})",
            claim.text, claim.measured
        ));
    }
    Ok(ExitCode::from(CLAIM_FAILED))
}

fn list() -> String {
    let mut text = String::new();
    for experiment in &experiments::ALL {
        let length = |mode| units::seconds((experiment.length)(mode).as_secs_f64());
        text += &format!(
            "{:<10}{}\n{:<10}{}\n{:<10}load: {} quick, {} full\n",
            experiment.name,
            experiment.title,
            "",
            experiment.about,
            "",
            length(Mode::Quick),
            length(Mode::Full)
        );
    }
    text
}

fn machine() -> Machine {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let model = text.lines().find(|line| line.starts_with("model name"))?;
            model
                .split_once(": ")
                .map(|(_, name)| name.trim().to_owned())
        });
    Machine {
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        cpu,
    }
}
