//! Everybody who is measured, one file for each crate.

mod failsafe;
mod ours;
mod recloser;
mod seatbelt;
mod tower_own;
mod tower_resilience;

use std::{sync::Arc, time::Duration};

use tokio::runtime::Runtime;

use crate::{
    entry::{Entry, Role, Work},
    work::{Bare, Case, Kind, floor, in_runtime},
};

/// Long enough that no circuit leaves its state while it is measured.
const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

/// What every rate rule is set to, where a crate lets it be set.
const RATE: f64 = 0.5;
const CALLS: u32 = 100;
const MINIMUM: u32 = 20;
/// Longer than any run.
const WINDOW: Duration = Duration::from_secs(60 * 60);

type Contender = (Entry, Case);

pub fn all() -> Vec<Contender> {
    // Some keep a timer, or wait on one. One worker drives it; the calls themselves are made by the measuring threads.
    let runtime = Arc::new(
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap(),
    );
    let mut all = vec![
        contender(Work::Nothing, Role::Floor, "floor", "", floor()),
        contender(
            Work::Nothing,
            Role::Beside,
            "bare service",
            "",
            Case::new("bare", Kind::Context, || Bare),
        ),
    ];
    all.extend(ours::all());
    all.extend(tower_resilience::all(&runtime));
    all.extend(seatbelt::all(&runtime));
    all.extend(failsafe::all());
    all.extend(recloser::all());
    all.extend(tower_own::all(&runtime));
    all
}

fn contender(
    work: Work,
    role: Role,
    package: &'static str,
    note: &'static str,
    case: Case,
) -> Contender {
    let entry = Entry {
        work,
        role,
        package,
        note,
    };
    (entry, case)
}

fn with_runtime(runtime: &Arc<Runtime>, contenders: Vec<Contender>) -> Vec<Contender> {
    contenders
        .into_iter()
        .map(|(entry, case)| (entry, in_runtime(runtime, case)))
        .collect()
}
