//! What is played: three worlds, and who guards the dependency in each.

use std::time::Duration;

use tower_breaker::{
    BuildError,
    bulkhead::limit::{Aimd, Gradient2, Vegas},
};

use crate::{
    guard::Guard,
    published,
    server::{Phase, Second, World, play},
};

const SERVICE_MS: f64 = 20.0;
const OFFERED: f64 = 3_000.0;
const MAX: usize = 500;

const fn phase(name: &'static str, from: u64, workers: usize) -> Phase {
    Phase {
        name,
        from,
        workers,
        service_ms: SERVICE_MS,
        offered: OFFERED,
    }
}

/// A dependency that changes, under constant overload, and a quiet end.
const CHANGES: &[Phase] = &[
    phase("40 workers", 0, 40),
    phase("10 workers", 40, 10),
    phase("40 workers", 80, 40),
    Phase {
        service_ms: 2.0 * SERVICE_MS,
        ..phase("each half as fast", 120, 40)
    },
    phase("as before", 160, 40),
    Phase {
        offered: 600.0,
        ..phase("few calls", 200, 40)
    },
];

/// A dependency that does not change, overloaded all the time.
const CONSTANT: &[Phase] = &[phase("40 workers", 0, 40)];

/// A dependency that answers nothing for a while.
const HANGS: &[Phase] = &[
    phase("40 workers", 0, 40),
    phase("hangs", 40, 0),
    phase("40 workers", 100, 40),
];

/// One guard's time.
pub struct Run {
    pub name: &'static str,
    pub seconds: Vec<Second>,
}

/// All guards' time in one world.
pub struct Played {
    pub world: World<'static>,
    pub runs: Vec<Run>,
}

impl Played {
    pub fn run(&self, name: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.name == name)
    }

    /// The phases, each with the seconds of it.
    pub fn phases(&self) -> impl Iterator<Item = (Phase, std::ops::Range<usize>)> + '_ {
        let phases = self.world.phases;
        phases.iter().enumerate().map(|(index, &phase)| {
            let end = phases
                .get(index + 1)
                .map_or(self.world.seconds, |next| next.from);
            (phase, phase.from as usize..end as usize)
        })
    }
}

fn world(phases: &'static [Phase], seconds: u64) -> World<'static> {
    World {
        phases,
        seconds,
        time_out_ms: 500.0,
        seed: 20_261_124,
    }
}

fn adaptive() -> Result<Vec<(&'static str, Guard)>, BuildError> {
    let aimd = Aimd::builder()
        .max(MAX)
        .timeout(Duration::from_millis(3 * SERVICE_MS as u64));
    Ok(vec![
        ("aimd", Guard::adaptive(aimd.build()?)?),
        (
            "gradient2",
            Guard::adaptive(Gradient2::builder().max(MAX).build()?)?,
        ),
        (
            "vegas",
            Guard::adaptive(Vegas::builder().max(MAX).build()?)?,
        ),
    ])
}

fn played(world: World<'static>, guards: Vec<(&'static str, Guard)>) -> Played {
    let runs = guards.into_iter().map(|(name, guard)| Run {
        name,
        seconds: play(&world, &guard),
    });
    let runs = runs.collect();
    Played { world, runs }
}

pub fn changes() -> Result<Played, BuildError> {
    let mut guards = vec![
        ("fixed 100", Guard::fixed(100)?),
        ("fixed 400", Guard::fixed(400)?),
    ];
    guards.extend(adaptive()?);
    Ok(played(world(CHANGES, 240), guards))
}

pub fn constant() -> Result<Played, BuildError> {
    let mut guards = vec![(
        "published gradient2",
        Guard::adaptive(published::Gradient2::new())?,
    )];
    guards.extend(adaptive()?);
    Ok(played(world(CONSTANT, 300), guards))
}

pub fn hangs() -> Result<Played, BuildError> {
    Ok(played(world(HANGS, 160), adaptive()?))
}
